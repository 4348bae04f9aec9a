// sink.c - loading sink files, and the life of what was loaded.
#include "script/sink.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "script/sink_data.h"

#include <dirent.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSION_DIGITS = 12, SINKS = 256 };

struct sink_memory {
  struct sink_memory *next;
  max_align_t bytes[];
};

void *sink_own_room(struct sink_own *own, size_t bytes) {
  struct sink_memory *m = mem_zero(1, sizeof *m + bytes);
  if (!m) return NULL;
  m->next = own->memory;
  own->memory = m;
  return m->bytes;
}

const char *sink_own_text(struct sink_own *own, const char *at, size_t len) {
  char *copy = sink_own_room(own, len + 1);
  if (copy && len) memcpy(copy, at, len);
  return copy;
}

static void free_own(struct sink_own *own) {
  for (size_t i = 0; i < own->sink.setting_count; i++)
    json_decref(own->sink.settings[i].initial);
  for (struct sink_memory *m = own->memory, *next; m; m = next) {
    next = m->next;
    mem_free(m);
  }
  mem_free(own);
}

void sink_ref(struct sink *sink) {
  atomic_fetch_add_explicit(&sink_own_of(sink)->refs, 1, memory_order_relaxed);
}

void sink_unref(struct sink *sink) {
  if (sink && atomic_fetch_sub_explicit(&sink_own_of(sink)->refs, 1, memory_order_acq_rel) == 1)
    free_own(sink_own_of(sink));
}

// ---- one file ----

static const char *version_of(struct sink_own *own, struct slice source) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  char text[VERSION_DIGITS + 1];
  SHA256((const unsigned char *)source.at, source.len, digest);
  for (int i = 0; i < VERSION_DIGITS / 2; i++)
    snprintf(text + 2 * i, 3, "%02x", digest[i]);
  return sink_own_text(own, text, VERSION_DIGITS);
}

static bool set_source(struct sink_own *own, const char *file, struct slice source) {
  struct sink *sink = &own->sink;
  sink->file = sink_own_text(own, file, strlen(file));
  sink->source = slice_make(sink_own_text(own, source.at, source.len), source.len);
  sink->version = version_of(own, source);
  return sink->file && sink->source.at && sink->version;
}

static bool read_file(struct sink_own *own, struct err *err) {
  struct lua_state *s = lua_state_new(NULL, err);
  if (!s) return false;
  bool ok = lua_state_load(s, own->sink.file, own->sink.source, err) && sink_data_read(s, own, err);
  lua_state_free(s);
  return ok;
}

struct sink *sink_load(const char *file, struct slice source, struct err *err) {
  struct sink_own *own = mem_zero(1, sizeof *own);
  if (!own) {
    err_set(err, "out of memory");
    return NULL;
  }
  atomic_init(&own->refs, 1);
  if (set_source(own, file, source) ? read_file(own, err) : err_set(err, "out of memory")) return &own->sink;
  free_own(own);
  return NULL;
}

// ---- a folder of them ----

struct sink_set {
  struct sink *sinks[SINKS];
  size_t count;
};

static bool is_sink_file(const char *name) {
  size_t len = strlen(name);
  if (name[0] == '.' || len < 5 || strcmp(name + len - 4, ".lua") != 0) return false;
  return len < 9 || strcmp(name + len - 9, "_spec.lua") != 0;
}

static size_t place_of(const struct sink_set *set, const char *file) { // the first that is not less
  size_t i = 0;
  while (i < set->count && strcmp(set->sinks[i]->file, file) < 0)
    i++;
  return i;
}

struct sink *sink_set_of_file(const struct sink_set *set, const char *file) {
  size_t i = place_of(set, file);
  return i < set->count && strcmp(set->sinks[i]->file, file) == 0 ? set->sinks[i] : NULL;
}

void sink_set_drop(struct sink_set *set, const struct sink *sink) {
  size_t i = place_of(set, sink->file);
  struct sink *dropped = set->sinks[i];
  memmove(set->sinks + i, set->sinks + i + 1, (--set->count - i) * sizeof set->sinks[0]);
  sink_unref(dropped);
}

static bool may_put(const struct sink_set *set, const struct sink *sink, struct err *err) {
  const struct sink *other = sink_set_find(set, sink->name);
  if (other && strcmp(other->file, sink->file) != 0)
    return err_set(err, "%s: the name \"%s\" is taken by %s", sink->file, sink->name, other->file);
  return set->count < SINKS || sink_set_of_file(set, sink->file) ||
         err_set(err, "%s: one sink too many (%d)", sink->file, SINKS);
}

bool sink_set_put(struct sink_set *set, struct sink *sink, struct err *err) {
  if (!may_put(set, sink, err)) {
    sink_unref(sink);
    return false;
  }
  struct sink *before = sink_set_of_file(set, sink->file);
  if (before) sink_set_drop(set, before);
  size_t i = place_of(set, sink->file);
  memmove(set->sinks + i + 1, set->sinks + i, (set->count++ - i) * sizeof set->sinks[0]);
  set->sinks[i] = sink;
  return true;
}

static void add_file(struct sink_set *set, const char *folder, const char *name, struct err *err) {
  char file[1024];
  struct err why = {0};
  size_t len;
  snprintf(file, sizeof file, "%s/%s", folder, name);
  char *source = disk_read_file(file, LIMIT_SCRIPT_SOURCE_BYTES, &len, &why);
  struct sink *sink = source ? sink_load(file, slice_make(source, len), &why) : NULL;
  mem_free(source);
  if (sink && sink_set_put(set, sink, &why)) return;
  log_error("sinks doing=load%s%s", log_field("file", name), log_field("error", why.text));
  err_set(err, "%s", why.text);
}

static int sink_files(const struct dirent *entry) {
  return is_sink_file(entry->d_name);
}

struct sink_set *sink_set_load(const char *folder, struct err *err) {
  struct dirent **names = NULL;
  struct sink_set *set = mem_zero(1, sizeof *set);
  if (!set) {
    err_set(err, "out of memory");
    return NULL;
  }
  int count = scandir(folder, &names, sink_files, alphasort);
  if (count < 0) {
    err_set_errno(err, "sinks folder %s can't be read", folder);
    mem_free(set);
    return NULL;
  }
  for (int i = 0; i < count; i++) {
    add_file(set, folder, names[i]->d_name, err);
    free(names[i]);
  }
  free(names);
  return set;
}

void sink_set_free(struct sink_set *set) {
  if (!set) return;
  for (size_t i = 0; i < set->count; i++)
    sink_unref(set->sinks[i]);
  mem_free(set);
}

size_t sink_set_count(const struct sink_set *set) {
  return set->count;
}

struct sink *sink_set_at(const struct sink_set *set, size_t i) {
  return i < set->count ? set->sinks[i] : NULL;
}

struct sink *sink_set_find(const struct sink_set *set, const char *name) {
  for (size_t i = 0; i < set->count; i++)
    if (strcmp(set->sinks[i]->name, name) == 0) return set->sinks[i];
  return NULL;
}

const char *sink_set_suggest(const struct sink_set *set, const char *name) {
  const char *words[SINKS + 1];
  for (size_t i = 0; i < set->count; i++)
    words[i] = set->sinks[i]->name;
  words[set->count] = NULL;
  return suggest(name, words);
}
