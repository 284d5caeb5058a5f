#ifndef CALLOCATIONCOUNT_H
#define CALLOCATIONCOUNT_H

/// Blocks of memory that this thread has asked for since it began: whoever links this has every malloc,
/// calloc, realloc and aligned allocation counted.
unsigned long allocation_count(void);

/// The same for all threads of the process.
unsigned long allocation_count_of_process(void);

#endif
