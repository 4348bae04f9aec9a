// disk.h - the few file operations durability rests on, so that tests can make the Nth one fail.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum disk_op { DISK_WRITE, DISK_SYNC, DISK_ALLOCATE, DISK_OPS };

bool disk_write_at(int fd, const void *at, size_t len, off_t offset); // all of it, or false with errno
bool disk_sync(int fd);                                              // fdatasync
bool disk_allocate(int fd, off_t offset, off_t len);                 // real blocks (posix_fallocate); false with errno (ENOSPC)
bool disk_sync_folder(const char *path);                             // so that new and removed names are durable; counts as DISK_SYNC
bool disk_make_folder(const char *path, struct err *err);            // mode 0700, parents too, durably; fine when it is there
bool disk_remove_folder(const char *path, struct err *err);          // with the files in it (no deeper folders); fine when it is gone
// Whole small files: read (NUL-terminated, mem_free; NULL and err when absent, unreadable or past max) and replaced atomically.
char *disk_read_file(const char *path, size_t max, size_t *len, struct err *err);
bool disk_replace_file(const char *path, struct slice content, mode_t mode, struct err *err);

// Tests: the nth call of this operation from now on fails with error_number, and `times` calls in all (0: for ever until reset).
void disk_fail_at(enum disk_op op, long nth, long times, int error_number);
void disk_fail_reset(void);
long disk_asked(enum disk_op op); // calls since the last disk_fail_at or reset
