// store_folder.c - lock and spare are plain files beside the database, so that they work when the database
// can't be opened.
#include "journal/store_folder.h"
#include "base/buf.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
  ROOM_FACTOR = 4
}; // times the spare's size that must be free before it is made: it must not eat what it gave

static char *join(const char *folder, const char *name) {
  struct buf path;
  buf_init(&path, 4096);
  char *out = buf_printf(&path, "%s/%s", folder, name) && buf_text(&path) ? buf_take(&path, NULL) : NULL;
  buf_fini(&path);
  return out;
}

// The lock file holds its owner's process id, for the message alone.
static bool refuse_locked(const struct store_folder *f, const char *folder, struct err *err) {
  char text[32] = "";
  ssize_t got = pread(f->lock, text, sizeof text - 1, 0);
  long pid = got > 0 ? strtol(text, NULL, 10) : 0;
  if (pid <= 0) return err_set(err, "data folder %s is in use by another engine", folder);
  return err_set(err, "data folder %s is in use by another engine (process %ld)", folder, pid);
}

static bool take_lock(struct store_folder *f, const char *folder, struct err *err) {
  f->lock = open(f->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (f->lock < 0) return err_set_errno(err, "data folder %s is not writable", folder);
  if (flock(f->lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return refuse_locked(f, folder, err);
    return err_set_errno(err, "data folder %s can't be locked", folder);
  }
  char text[32];
  int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(f->lock, 0) != 0 || pwrite(f->lock, text, (size_t)len, 0) != len)
    log_warn("store=%s doing=lock reason=\"the process id could not be written\"", f->store_path);
  return true;
}

bool store_folder_open(struct store_folder *f, const char *folder, struct err *err) {
  *f = (struct store_folder){.lock = -1};
  f->lock_path = join(folder, "lock");
  f->store_path = join(folder, "store");
  f->spare_path = join(folder, "store/spare");
  if (!f->lock_path || !f->store_path || !f->spare_path) return err_set(err, "out of memory");
  if (!disk_make_folder(folder, err)) return err_prepend(err, "data folder %s", folder);
  if (!take_lock(f, folder, err)) return false;
  if (!disk_make_folder(f->store_path, err)) return false;
  struct stat there;
  f->has_spare = stat(f->spare_path, &there) == 0 && there.st_blocks * 512 >= LIMIT_STORE_SPARE_BYTES;
  store_folder_restore_spare(f);
  return true;
}

void store_folder_close(struct store_folder *f) {
  if (f->lock >= 0) close(f->lock);
  mem_free(f->lock_path);
  mem_free(f->store_path);
  mem_free(f->spare_path);
  *f = (struct store_folder){.lock = -1};
}

bool store_folder_release_spare(struct store_folder *f) {
  if (!f->has_spare) return false;
  f->has_spare = false;
  log_warn("store=%s doing=commit reason=\"disk full\" action=\"gave the spare room\"", f->store_path);
  return unlink(f->spare_path) == 0;
}

static bool has_free(const struct store_folder *f, unsigned long long bytes) {
  struct statvfs disk;
  return statvfs(f->store_path, &disk) == 0 && (unsigned long long)disk.f_bavail * disk.f_frsize >= bytes;
}

bool store_folder_is_full(const struct store_folder *f) {
  return !has_free(f, LIMIT_STORE_SPARE_BYTES);
}

void store_folder_restore_spare(struct store_folder *f) {
  if (f->has_spare || !has_free(f, (unsigned long long)LIMIT_STORE_SPARE_BYTES * ROOM_FACTOR)) return;
  int fd = open(f->spare_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  f->has_spare = disk_allocate(fd, 0, LIMIT_STORE_SPARE_BYTES);
  close(fd);
  if (!f->has_spare) unlink(f->spare_path);
}
