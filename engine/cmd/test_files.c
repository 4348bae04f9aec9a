#include "cmd/test_files.h"
#include "base/mem.h"
#include "base/slice.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 16, FILES = 100000 };

static bool is_case(const char *path) {
  return slice_ends(slice_of(path), "_spec.lua") || slice_ends(slice_of(path), ".input.ndjson");
}

static bool fail(const char *path) {
  fprintf(stderr, "%s: %s\n", path, strerror(errno));
  return false;
}

static bool add_file(struct test_files *files, const char *path) {
  for (size_t i = 0; i < files->count; i++)
    if (strcmp(files->paths[i], path) == 0) return true;
  if (access(path, R_OK) != 0) return fail(path);
  if (files->count == FILES) {
    errno = E2BIG;
    return fail(path);
  }
  if (files->count == files->cap) {
    files->cap = files->cap ? 2 * files->cap : 16;
    files->paths = mem_must(mem_grow(files->paths, files->cap * sizeof *files->paths));
  }
  files->paths[files->count++] = mem_must(mem_copy(path, strlen(path)));
  return true;
}

// What lies beside NAME.lua.
static bool add_beside(struct test_files *files, const char *script) {
  static const char *const ends[] = {"_spec.lua", ".input.ndjson"};
  char path[PATH_MAX];
  bool ok = true;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    int len = snprintf(path, sizeof path, "%.*s%s", (int)(strlen(script) - 4), script, ends[i]);
    if (len < (int)sizeof path && access(path, F_OK) == 0) ok &= add_file(files, path);
  }
  return ok;
}

static int visible(const struct dirent *entry) {
  return entry->d_name[0] != '.' && strcmp(entry->d_name, "node_modules") != 0;
}

static bool add_entry(struct test_files *files, const char *path, int depth);

static bool add_folder(struct test_files *files, const char *folder, int depth) {
  struct dirent **entries;
  char path[PATH_MAX];
  size_t len = strlen(folder);
  bool ok = true;
  int count = scandir(folder, &entries, visible, alphasort);
  if (count < 0) return fail(folder);
  for (int i = 0; i < count; i++) {
    const char *in = strcmp(folder, ".") == 0 ? "" : folder, *slash = !*in || in[len - 1] == '/' ? "" : "/";
    int used = snprintf(path, sizeof path, "%s%s%s", in, slash, entries[i]->d_name);
    if (used < (int)sizeof path) ok &= add_entry(files, path, depth + 1);
    free(entries[i]);
  }
  free(entries);
  return ok;
}

// An entry of a folder. Links to folders are not followed: they may go in circles.
static bool add_entry(struct test_files *files, const char *path, int depth) {
  struct stat about;
  if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
    return depth > DEPTH || add_folder(files, path, depth);
  return !is_case(path) || add_file(files, path);
}

bool test_files_add(struct test_files *files, const char *path) {
  struct stat about;
  if (stat(path, &about) != 0) return fail(path);
  if (S_ISDIR(about.st_mode)) return add_folder(files, path, 0);
  if (is_case(path)) return add_file(files, path);
  if (slice_ends(slice_of(path), ".lua")) return add_beside(files, path);
  fprintf(stderr, "%s: neither NAME_spec.lua, NAME.input.ndjson, NAME.lua nor a folder\n", path);
  return false;
}

void test_files_fini(struct test_files *files) {
  for (size_t i = 0; i < files->count; i++)
    mem_free(files->paths[i]);
  mem_free(files->paths);
  *files = (struct test_files){0};
}
