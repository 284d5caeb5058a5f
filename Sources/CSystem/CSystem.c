#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_lock(int fd, short type) {
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

int csystem_lock_exclusively(int fd) { return set_lock(fd, F_WRLCK); }

int csystem_unlock(int fd) { return set_lock(fd, F_UNLCK); }

int csystem_rename_no_replace(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

void csystem_begin_writeback(int fd, int64_t offset, int64_t count) {
  (void)sync_file_range(fd, offset, count, SYNC_FILE_RANGE_WRITE);
}

_Static_assert(csystem_path_only == O_PATH, "O_PATH is another number here");

int csystem_open_beneath(
    const char *root, const char *path, int flags, bool follows_links, int *descriptor) {
  int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return errno;
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = (unsigned)flags;
  if (flags & O_CREAT) how.mode = 0600;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (!follows_links) how.resolve |= RESOLVE_NO_SYMLINKS;
  long result;
  // EAGAIN: somebody renamed something meanwhile, so that the kernel cannot vouch for the way.
  int attempts = 0;
  do {
    result = syscall(SYS_openat2, directory, path, &how, sizeof how);
  } while (result < 0 && (errno == EINTR || (errno == EAGAIN && ++attempts < 100)));
  // Containers that do not know the call forbid it.
  int number = result >= 0 ? 0 : errno == EPERM ? ENOSYS : errno;
  close(directory);
  if (result >= 0) *descriptor = (int)result;
  return number;
}

static uint32_t crc32c_table(uint32_t crc, const unsigned char *bytes, uint64_t count) {
  // Bitwise with a nibble table: only for processors without the instruction.
  static const uint32_t table[16] = {
      0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
      0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  while (count--) {
    crc ^= *bytes++;
    crc = (crc >> 4) ^ table[crc & 15];
    crc = (crc >> 4) ^ table[crc & 15];
  }
  return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(
    uint32_t crc, const unsigned char *bytes, uint64_t count) {
  uint64_t value = crc;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    value = _mm_crc32_u64(value, word);
    bytes += 8;
    count -= 8;
  }
  while (count--) value = _mm_crc32_u8((uint32_t)value, *bytes++);
  return (uint32_t)value;
}
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
static uint32_t crc32c_instruction(uint32_t crc, const unsigned char *bytes, uint64_t count) {
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    crc = __crc32cd(crc, word);
    bytes += 8;
    count -= 8;
  }
  while (count--) crc = __crc32cb(crc, *bytes++);
  return crc;
}
static int has_instruction(void) { return 1; }
#else
#define crc32c_instruction crc32c_table
static int has_instruction(void) { return 0; }
#endif

uint32_t csystem_crc32c(uint32_t crc, const void *bytes, uint64_t count) {
  crc = ~crc;
  crc = has_instruction() ? crc32c_instruction(crc, bytes, count) : crc32c_table(crc, bytes, count);
  return ~crc;
}

const char *csystem_error_message(int number) { return strerrordesc_np(number); }

int csystem_name_thread(const char *name) { return pthread_setname_np(pthread_self(), name); }

int csystem_processor_count(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int)online : 1;
}
