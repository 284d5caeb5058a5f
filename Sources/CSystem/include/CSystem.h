// What Swift's Glibc overlay cannot express: variadic fcntl with struct arguments, and constants
// behind macros. Each function is one system call.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// F_OFD_SETLK with an exclusive lock on the whole file. Returns 0, or the errno.
/// Open-file-description locks survive the closing of other descriptors of the same file
/// (POSIX record locks do not).
int csystem_lock_exclusively(int fd);

/// Drops that lock, also where a child process that was just forked has the description too.
/// Returns 0, or the errno.
int csystem_unlock(int fd);

/// renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE). Returns 0, or the errno;
/// EEXIST when `to` is there.
int csystem_rename_no_replace(const char *from, const char *to);

/// O_PATH: a descriptor that names a file without opening it.
enum { csystem_path_only = 010000000 };

/// Opens a path below a directory, the kernel seeing to it that no link on the way leads out of there
/// (openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS; where not `follows_links` with
/// RESOLVE_NO_SYMLINKS, too). Returns 0, or the errno: EXDEV when a link leads out, ENOSYS where the
/// kernel, or what guards this process, has no such call.
int csystem_open_beneath(
    const char *root, const char *path, int flags, bool follows_links, int *descriptor);

/// sync_file_range with SYNC_FILE_RANGE_WRITE: writing back begins, nothing is waited for. Advice only, so what it
/// returns is of no use; errors of the disk are kept for fdatasync.
void csystem_begin_writeback(int fd, int64_t offset, int64_t count);

/// CRC-32C (Castagnoli) of the bytes, continuing from `crc` (0 to begin with). Uses the SSE 4.2 or
/// ARMv8 instruction where the processor has it.
uint32_t csystem_crc32c(uint32_t crc, const void *bytes, uint64_t count);

/// The system's description of an errno: a constant string, or NULL for an unknown number.
const char *csystem_error_message(int number);

/// Names the calling thread; the kernel takes at most 15 bytes. Returns 0, or the errno.
int csystem_name_thread(const char *name);

/// How many processors the kernel lets this process run on, which a container or taskset may have
/// narrowed (sched_getaffinity); those that are online where it does not say. At least 1.
int csystem_processor_count(void);

/// Brings so many cache lines from an address on nearer to the processor, at some time; never fails.
static inline void csystem_prefetch(const void *start, uint32_t lines) {
  for (uint32_t line = 0; line < lines; line++)
    __builtin_prefetch((const char *)start + (uintptr_t)line * 64);
}
