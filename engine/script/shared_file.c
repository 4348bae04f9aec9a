#include "script/shared_file.h"
#include "base/limits.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOWEST = 128 };
_Static_assert(LOWEST > (int)LIMIT_POOL_CLIENTS + 8, "a worker's own descriptors stay below");

static int raise_fd(int low) {
  int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, LOWEST);
  if (low >= 0) close(low);
  return fd;
}

int shared_file(const char *name, off_t bytes, struct err *err) {
  int fd = raise_fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd >= 0 && ftruncate(fd, bytes) == 0 &&
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
    return fd;
  err_set_errno(err, "shared memory for a worker");
  if (fd >= 0) close(fd);
  return -1;
}

int shared_event(struct err *err) {
  int fd = raise_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (fd < 0) err_set_errno(err, "an event descriptor");
  return fd;
}
