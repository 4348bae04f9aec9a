#include "flow/script_files.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_name(const char *name) {
  size_t len = strlen(name);
  return len >= 1 && len < SCRIPT_NAME_BYTES &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len &&
         !slice_ends(slice_of(name), "_spec");
}

bool script_files_check_name(const char *name, struct err *err) {
  if (is_name(name)) return true;
  if (slice_ends(slice_of(name), "_spec"))
    return err_set(err, "a script's name does not end in _spec: that is the name of its spec");
  return err_set(err, "a script's name is 1 to 64 of a-z, 0-9, '_' and '-'");
}

void script_files_version(struct slice source, char *out) {
  snprintf(out, SCRIPT_VERSION_BYTES, "%016" PRIx64, hash_bytes(source.at, source.len, 0));
}

static bool path_of(const char *folder, const char *name, char path[PATH_MAX], struct err *err) {
  return (script_files_check_name(name, err) &&
          snprintf(path, PATH_MAX, "%s/%s.lua", folder, name) < PATH_MAX) ||
         err_set(err, "the name of the scripts folder is too long");
}

bool script_files_has(const char *folder, const char *name) {
  char path[PATH_MAX];
  return path_of(folder, name, path, NULL) && access(path, F_OK) == 0;
}

char *script_files_read(const char *folder, const char *name, size_t *len, struct err *err) {
  char path[PATH_MAX];
  if (!path_of(folder, name, path, err)) return NULL;
  return disk_read_file(path, LIMIT_SCRIPT_SOURCE_BYTES, len, err);
}

bool script_files_remove(const char *folder, const char *name, struct err *err) {
  char path[PATH_MAX];
  if (!path_of(folder, name, path, err)) return false;
  if (unlink(path) != 0) return err_set_errno(err, "can't remove %s", path);
  return disk_sync_folder(folder) || err_set_errno(err, "can't sync the folder %s", folder);
}

// ---- the list ----

// The name without ".lua"; false: no shared script's.
static bool name_of(const char *file, char name[SCRIPT_NAME_BYTES]) {
  size_t len = strlen(file);
  if (!slice_ends(slice_of(file), ".lua") || len - 4 >= SCRIPT_NAME_BYTES) return false;
  memcpy(name, file, len - 4);
  name[len - 4] = 0;
  return is_name(name);
}

static int compare(const void *a, const void *b) {
  return strcmp(a, b);
}

// Keeps the first `most` in order of all that pass, in room for twice as many.
struct gathering {
  char (*names)[SCRIPT_NAME_BYTES];
  size_t count, most;
  bool more;
};

static void cut(struct gathering *g) {
  qsort(g->names, g->count, SCRIPT_NAME_BYTES, compare);
  if (g->count <= g->most) return;
  g->count = g->most;
  g->more = true;
}

static void gather(struct gathering *g, const char *name) {
  if (g->count == 2 * g->most) cut(g);
  memcpy(g->names[g->count++], name, SCRIPT_NAME_BYTES);
}

static void read_folder(DIR *folder, const char *after, struct gathering *g) {
  char name[SCRIPT_NAME_BYTES] = "";
  for (const struct dirent *entry; (entry = readdir(folder));)
    if (name_of(entry->d_name, name) && strcmp(name, after) > 0) gather(g, name);
  cut(g);
}

long script_files_list(const char *folder, const char *after, size_t most, char (*names)[SCRIPT_NAME_BYTES],
                       bool *more, struct err *err) {
  DIR *open = opendir(folder);
  *more = false;
  if (!open && errno == ENOENT) return 0;
  if (!open) {
    err_set_errno(err, "the scripts folder %s can't be read", folder);
    return -1;
  }
  struct gathering g = {.names = names, .most = most};
  read_folder(open, after, &g);
  closedir(open);
  *more = g.more;
  return (long)g.count;
}

// ---- writing ----

static size_t count_all(const char *folder) {
  char name[SCRIPT_NAME_BYTES];
  size_t count = 0;
  DIR *open = opendir(folder);
  for (const struct dirent *entry; open && (entry = readdir(open));)
    count += name_of(entry->d_name, name);
  if (open) closedir(open);
  return count;
}

bool script_files_write(const char *folder, const char *name, struct slice source, struct err *err) {
  char path[PATH_MAX];
  if (!path_of(folder, name, path, err) || !disk_make_folder(folder, err)) return false;
  if (access(path, F_OK) != 0 && count_all(folder) >= LIMIT_SHARED_SCRIPTS)
    return err_set(err, "there are %d scripts: remove some first", LIMIT_SHARED_SCRIPTS);
  return disk_replace_file(path, source, 0644, err);
}
