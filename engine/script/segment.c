#include "script/segment.h"
#include "script/shared_file.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t MAGIC = 0x31746e656d676553; // changes with the layout

enum { PAGE = 4096, WORDS_BYTES = (sizeof(struct segment_words) + PAGE - 1) / PAGE * PAGE };

static const off_t SEGMENT_BYTES = WORDS_BYTES + 2L * LIMIT_RING_BYTES * LIMIT_POOL_CLIENTS;

static struct segment_words *map_words(int fd) {
  void *at = mmap(NULL, WORDS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? NULL : at;
}

int segment_create(const struct script_limits *limits, struct err *err) {
  int fd = shared_file("sluice-worker", SEGMENT_BYTES, err);
  if (fd < 0) return -1;
  struct segment_words *words = map_words(fd);
  if (!words) {
    err_set_errno(err, "shared memory for a worker");
    close(fd);
    return -1;
  }
  words->magic = MAGIC;
  words->limits = *limits;
  words->engine = getpid();
  segment_unmap(words);
  return fd;
}

struct segment_words *segment_map(int fd, struct err *err) {
  struct stat status;
  if (fstat(fd, &status) != 0 || status.st_size != SEGMENT_BYTES) {
    err_set(err, "no shared memory of an engine");
    return NULL;
  }
  struct segment_words *words = map_words(fd);
  if (!words) {
    err_set_errno(err, "shared memory");
  } else if (words->magic != MAGIC) {
    err_set(err, "the engine's shared memory has another layout");
    segment_unmap(words);
    words = NULL;
  }
  return words;
}

void segment_unmap(struct segment_words *words) {
  if (words) munmap(words, WORDS_BYTES);
}

size_t segment_memory(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? (size_t)status.st_blocks * 512 : 0;
}

static off_t ring_offset(unsigned client, unsigned direction) {
  return WORDS_BYTES + (off_t)(2 * client + direction) * LIMIT_RING_BYTES;
}

bool segment_map_requests(struct ring *ring, struct segment_words *words, int fd, unsigned client) {
  return ring_map(ring, &words->links[client].requests, fd, ring_offset(client, 0), LIMIT_RING_BYTES);
}

bool segment_map_results(struct ring *ring, struct segment_words *words, int fd, unsigned client) {
  return ring_map(ring, &words->links[client].results, fd, ring_offset(client, 1), LIMIT_RING_BYTES);
}

// Futexes on a shared file can't be private ones.
void segment_sleep(struct segment_words *words) {
  syscall(SYS_futex, &words->bell, FUTEX_WAIT, SEGMENT_ASLEEP, NULL, NULL, 0);
}

void segment_wake(struct segment_words *words) {
  if (atomic_exchange(&words->bell, SEGMENT_AWAKE) != SEGMENT_AWAKE)
    syscall(SYS_futex, &words->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}
