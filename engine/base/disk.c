#include "base/disk.h"
#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_CHUNK = 64 << 10 };

static struct {
  atomic_long asked, nth, times;
  atomic_int error_number;
} plan[DISK_OPS];

static bool refused(enum disk_op op) {
  long call = atomic_fetch_add(&plan[op].asked, 1) + 1, nth = atomic_load(&plan[op].nth);
  if (!nth || call < nth) return false;
  long times = atomic_load(&plan[op].times);
  if (times && call - nth >= times) return false;
  errno = atomic_load(&plan[op].error_number);
  return true;
}

void disk_fail_at(enum disk_op op, long nth, long times, int error_number) {
  atomic_store(&plan[op].nth, 0);
  atomic_store(&plan[op].error_number, error_number);
  atomic_store(&plan[op].times, times);
  atomic_store(&plan[op].asked, 0);
  atomic_store(&plan[op].nth, nth);
}

void disk_fail_reset(void) {
  for (int op = 0; op < DISK_OPS; op++)
    disk_fail_at((enum disk_op)op, 0, 0, 0);
}

long disk_asked(enum disk_op op) {
  return atomic_load(&plan[op].asked);
}

bool disk_write_at(int fd, const void *at, size_t len, off_t offset) {
  if (refused(DISK_WRITE)) return false;
  for (const char *p = at; len;) {
    ssize_t n = pwrite(fd, p, len, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO; // it must not be taken for progress
    if (n <= 0) return false;
    p += n;
    offset += n;
    len -= (size_t)n;
  }
  return true;
}

bool disk_sync(int fd) {
  return !refused(DISK_SYNC) && fdatasync(fd) == 0;
}

bool disk_allocate(int fd, off_t offset, off_t len) {
  if (refused(DISK_ALLOCATE)) return false;
  int error;
  do
    error = posix_fallocate(fd, offset, len);
  while (error == EINTR);
  errno = error;
  return error == 0;
}

bool disk_sync_folder(const char *path) {
  if (refused(DISK_SYNC)) return false;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  bool ok = fsync(fd) == 0;
  int saved = errno;
  close(fd);
  errno = saved;
  return ok;
}

// The folder that holds this name, into out[PATH_MAX].
static bool parent_of(const char *path, char *out) {
  const char *slash = strrchr(path, '/');
  size_t len = slash ? (size_t)(slash - path) : 0;
  if (len >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(out, path, len);
  out[len] = 0;
  if (!len) strcpy(out, slash ? "/" : ".");
  return true;
}

static bool make_one(const char *path, struct err *err) {
  char parent[PATH_MAX];
  struct stat st;
  if (mkdir(path, 0700) == 0) {
    if (parent_of(path, parent) && disk_sync_folder(parent)) return true;
    err_set_errno(err, "cannot sync the folder that holds %s", path);
    rmdir(path); // or the next call would find it and call it durable
    return false;
  }
  if (errno != EEXIST) return err_set_errno(err, "cannot make the folder %s", path);
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
  return err_set(err, "%s is not a folder", path);
}

bool disk_make_folder(const char *path, struct err *err) {
  char part[PATH_MAX];
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof part) return err_set(err, "no usable name for a folder: \"%.60s\"", path);
  memcpy(part, path, len + 1);
  for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (!make_one(part, err)) return false;
    *slash = '/';
  }
  return part[len - 1] == '/' || make_one(part, err);
}

static bool remove_files(DIR *dir, const char *path, struct err *err) {
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(dir);
    if (!entry) return errno == 0 || err_set_errno(err, "cannot read the folder %s", path);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (unlinkat(dirfd(dir), entry->d_name, 0) != 0 && errno != ENOENT)
      return err_set_errno(err, "cannot remove %s/%s", path, entry->d_name);
  }
}

bool disk_remove_folder(const char *path, struct err *err) {
  DIR *dir = opendir(path);
  if (!dir) return errno == ENOENT || err_set_errno(err, "cannot open the folder %s", path);
  bool ok = remove_files(dir, path, err);
  closedir(dir);
  if (ok && rmdir(path) != 0) ok = err_set_errno(err, "cannot remove the folder %s", path);
  return ok;
}

// Reads up to the end of the file or, to know that it is longer, one byte past max.
static bool read_all(int fd, struct buf *b) {
  for (;;) {
    size_t room = b->max - b->len < READ_CHUNK ? b->max - b->len : READ_CHUNK;
    if (!room) return true;
    if (!buf_reserve(b, room)) {
      errno = ENOMEM;
      return false;
    }
    ssize_t n = read(fd, b->at + b->len, room);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    b->len += (size_t)n;
  }
}

char *disk_read_file(const char *path, size_t max, size_t *len, struct err *err) {
  assert(max < SIZE_MAX);
  struct buf b;
  buf_init(&b, max + 1);
  char *content = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || !read_all(fd, &b)) {
    err_set_errno(err, "cannot read %s", path);
    goto out;
  }
  if (b.len > max) {
    err_set(err, "cannot read %s: longer than %zu bytes", path, max);
    goto out;
  }
  if (!buf_text(&b)) {
    err_set(err, "cannot read %s: out of memory", path);
    goto out;
  }
  content = buf_take(&b, len);
out:
  if (fd >= 0) close(fd);
  buf_fini(&b);
  return content;
}

static bool fill(int fd, struct slice content, mode_t mode) {
  return fchmod(fd, mode) == 0 && disk_write_at(fd, content.at, content.len, 0) && disk_sync(fd);
}

bool disk_replace_file(const char *path, struct slice content, mode_t mode, struct err *err) {
  char parent[PATH_MAX], temporary[PATH_MAX];
  int len = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
  if (len >= PATH_MAX || !parent_of(path, parent))
    return err_set(err, "cannot write %.60s...: the name is too long", path);
  int fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0) return err_set_errno(err, "cannot write %s", path);
  bool ok = fill(fd, content, mode);
  if (!ok) err_set_errno(err, "cannot write %s", path);
  close(fd);
  if (ok && rename(temporary, path) != 0) ok = err_set_errno(err, "cannot replace %s", path);
  if (!ok) {
    unlink(temporary);
    return false;
  }
  return disk_sync_folder(parent) || err_set_errno(err, "cannot sync the folder %s", parent);
}
