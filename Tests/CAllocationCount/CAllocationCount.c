#include "CAllocationCount.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

// glibc's own names for what it does, so that nothing has to be looked up while there is no memory yet.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static __thread unsigned long of_thread;
static atomic_ulong of_process;

static void note(void) {
  of_thread++;
  atomic_fetch_add_explicit(&of_process, 1, memory_order_relaxed);
}

unsigned long allocation_count(void) { return of_thread; }

unsigned long allocation_count_of_process(void) {
  return atomic_load_explicit(&of_process, memory_order_relaxed);
}

// A sanitizer has a malloc of its own; nothing is counted then.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

// These take the place of the C library's in the whole process.

void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  note();
  return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
  note();
  return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
  note();
  void *memory = __libc_memalign(alignment, size);
  if (memory == NULL) return ENOMEM;
  *block = memory;
  return 0;
}

#endif
