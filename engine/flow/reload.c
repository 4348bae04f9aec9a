// reload.c - which files are to be looked at, one a turn of the loop; and who uses them.
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/reload_parts.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

const char *reload_kind_name(const struct reload_file *f) {
  return f->kind == RELOAD_SINK ? "sink" : "script";
}

static const char *folder_of(const struct reload *all, enum reload_kind kind) {
  return kind == RELOAD_SCRIPT ? all->options.scripts_folder : all->options.sinks_folder;
}

void reload_path(const struct reload_file *f, char *out, size_t room) {
  snprintf(out, room, "%s/%s.lua", folder_of(f->all, f->kind), f->name);
}

// ---- who uses a file ----

bool reload_uses(const struct reload_file *f, const struct stream_entry *entry) {
  const struct definition *d = entry->definition;
  if (f->kind == RELOAD_SCRIPT) return d->script_name && strcmp(d->script_name, f->name) == 0;
  char path[1024];
  if (f->sink) return strcmp(d->sink->name, f->sink->name) == 0;
  reload_path(f, path, sizeof path);
  return strcmp(d->sink->file, path) == 0;
}

// A version that was gone back from does not come again.
bool reload_wants(const struct reload_file *f, const struct stream_entry *entry) {
  const struct definition *d = entry->definition;
  if (!reload_uses(f, entry)) return false;
  if (f->kind == RELOAD_SINK) return d->sink != f->sink;
  return strcmp(d->script_version, f->version) != 0 && strcmp(d->bad_version, f->version) != 0;
}

static bool is_used(const struct reload_file *f) {
  const struct streams *streams = f->all->options.streams;
  for (size_t i = 0; i < streams_count(streams); i++)
    if (reload_uses(f, streams_at(streams, i))) return true;
  return false;
}

bool reload_is_wanted(const struct reload_file *f) {
  const struct streams *streams = f->all->options.streams;
  for (size_t i = 0; i < streams_count(streams); i++)
    if (reload_wants(f, streams_at(streams, i))) return true;
  return false;
}

void reload_tell_users(const struct reload_file *f, const char *why) {
  const struct streams *streams = f->all->options.streams;
  char text[STATUS_ERROR_BYTES];
  for (size_t i = 0; i < streams_count(streams); i++) {
    const struct stream_entry *entry = streams_at(streams, i);
    const struct definition *d = entry->definition;
    if (!reload_uses(f, entry) || (!why && d->bad_version[0])) continue;
    if (why) snprintf(text, sizeof text, "%.420s (version %s goes on)", why, f->kind == RELOAD_SINK ? d->sink->version : d->script_version);
    status_set_version_error(entry->status, why ? text : NULL);
  }
}

void reload_refuse(struct reload_file *f, const char *why) {
  log_error("%s=%s doing=reload version=%s%s note=\"the old one goes on\"", reload_kind_name(f), f->name,
            f->version[0] ? f->version : "none", log_field("error", why));
  memcpy(f->refused, f->version, sizeof f->refused);
  f->told = true;
  reload_tell_users(f, why);
  reload_rest(f);
}

// ---- files ----

static void file_free(struct reload_file *f) {
  list_remove(&f->waiting);
  spec_run_free(f->specs);
  sink_unref(f->sink);
  mem_free(f->source);
  mem_free(f);
}

static uint64_t key_of(enum reload_kind kind, const char *name) {
  return hash_bytes(name, strlen(name), kind);
}

// NULL: out of memory.
static struct reload_file *file_of(struct reload *all, enum reload_kind kind, const char *name) {
  struct reload_file *f = map_get(&all->files, key_of(kind, name));
  if (f) return f;
  f = mem_zero(1, sizeof *f);
  if (!f || !map_put(&all->files, key_of(kind, name), f)) {
    mem_free(f);
    log_error("reload doing=look file=%s.lua error=\"out of memory\"", name);
    return NULL;
  }
  f->all = all;
  f->kind = kind;
  snprintf(f->name, sizeof f->name, "%s", name);
  return f;
}

static void put_in_line(struct reload_file *f) {
  f->again = false;
  f->state = RELOAD_WAITS;
  list_push_back(&f->all->waiting, &f->waiting);
  loop_post(f->all->options.loop, &f->all->step);
}

void reload_look(struct reload *all, enum reload_kind kind, const char *name) {
  struct reload_file *f = file_of(all, kind, name);
  if (!f) return;
  if (f->state == RELOAD_RESTS) put_in_line(f);
  else f->again = f->state != RELOAD_WAITS;
}

void reload_rest(struct reload_file *f) {
  struct reload *all = f->all;
  all->working--;
  mem_free(f->source);
  f->source = NULL;
  spec_run_free(f->specs);
  f->specs = NULL;
  sink_unref(f->sink);
  f->sink = NULL;
  f->state = RELOAD_RESTS;
  if (f->again) {
    put_in_line(f);
  } else if (!f->refused[0] && !f->told) {
    map_remove(&all->files, key_of(f->kind, f->name));
    file_free(f);
  }
  if (!list_empty(&all->waiting)) loop_post(all->options.loop, &all->step);
}

// One file a turn: what else the loop has to do goes on in between.
static void step(struct loop_task *task) {
  struct reload *all = (struct reload *)((char *)task - offsetof(struct reload, step));
  if (all->working == LIMIT_RELOADS || list_empty(&all->waiting)) return;
  struct reload_file *f = list_item(list_pop(&all->waiting), struct reload_file, waiting);
  all->working++;
  if (f->kind == RELOAD_SINK || is_used(f)) {
    reload_begin(f);
  } else {
    f->refused[0] = 0;
    reload_rest(f);
  }
  loop_post(all->options.loop, task);
}

// ---- what may have changed ----

// NAME.lua, and what its specs and golden cases are in, are all looked at as NAME.
static bool name_of(const char *file, char name[RELOAD_NAME_BYTES]) {
  static const char *const tails[] = {"_spec.lua", ".lua", ".input.ndjson", ".output.ndjson"};
  size_t len = strlen(file);
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    size_t tail = strlen(tails[i]);
    if (file[0] == '.' || len <= tail || len - tail >= RELOAD_NAME_BYTES || strcmp(file + len - tail, tails[i]) != 0) continue;
    snprintf(name, RELOAD_NAME_BYTES, "%.*s", (int)(len - tail), file);
    return true;
  }
  return false;
}

static void look_at_scripts(struct reload *all) {
  const struct streams *streams = all->options.streams;
  for (size_t i = 0; i < streams_count(streams); i++) {
    const char *name = streams_at(streams, i)->definition->script_name;
    if (name) reload_look(all, RELOAD_SCRIPT, name);
  }
}

// Those that are there, and those that were.
static void look_at_sinks(struct reload *all) {
  char name[RELOAD_NAME_BYTES];
  DIR *folder = opendir(all->options.sinks_folder);
  const struct dirent *entry;
  while (folder && (entry = readdir(folder)))
    if (name_of(entry->d_name, name)) reload_look(all, RELOAD_SINK, name);
  if (folder) closedir(folder);
  for (size_t i = 0; i < sink_set_count(all->options.sinks); i++) {
    const char *file = sink_set_at(all->options.sinks, i)->file;
    if (name_of(strrchr(file, '/') ? strrchr(file, '/') + 1 : file, name)) reload_look(all, RELOAD_SINK, name);
  }
}

static void script_changed(void *arg, const char *file) {
  char name[RELOAD_NAME_BYTES];
  if (!file) look_at_scripts(arg);
  else if (name_of(file, name)) reload_look(arg, RELOAD_SCRIPT, name);
}

static void sink_changed(void *arg, const char *file) {
  char name[RELOAD_NAME_BYTES];
  if (!file) look_at_sinks(arg);
  else if (name_of(file, name)) reload_look(arg, RELOAD_SINK, name);
}

// A stream that was made of what had changed before it was there.
static void stream_changed(void *arg, const struct stream_entry *entry) {
  struct reload *all = arg;
  const struct definition *d = entry->definition;
  char name[RELOAD_NAME_BYTES];
  const char *file = strrchr(d->sink->file, '/') ? strrchr(d->sink->file, '/') + 1 : d->sink->file;
  if (d->script_name) reload_look(all, RELOAD_SCRIPT, d->script_name);
  if (sink_set_find(all->options.sinks, d->sink->name) != d->sink && name_of(file, name)) reload_look(all, RELOAD_SINK, name);
}

void reload_all(struct reload *all) {
  struct reload_file *f;
  for (size_t i = 0; (f = map_each(&all->files, &i));) f->refused[0] = 0;
  look_at_scripts(all);
  look_at_sinks(all);
}

// ---- life ----

struct reload *reload_new(const struct reload_options *options, struct err *err) {
  struct reload *all = mem_zero(1, sizeof *all);
  if (!all) return err_set(err, "out of memory"), NULL;
  all->options = *options;
  all->step.run = step;
  list_init(&all->waiting);
  streams_set_changed(options->streams, stream_changed, all);
  all->watches[RELOAD_SCRIPT] = watch_new(options->loop, options->scripts_folder, script_changed, all, err);
  all->watches[RELOAD_SINK] = watch_new(options->loop, options->sinks_folder, sink_changed, all, err);
  if (all->watches[RELOAD_SCRIPT] && all->watches[RELOAD_SINK]) return all;
  reload_free(all);
  return NULL;
}

void reload_free(struct reload *all) {
  if (!all) return;
  struct reload_file *f;
  streams_set_changed(all->options.streams, NULL, NULL);
  for (int i = 0; i < RELOAD_KINDS; i++) watch_free(all->watches[i]);
  for (size_t i = 0; (f = map_each(&all->files, &i));) file_free(f);
  map_fini(&all->files);
  mem_free(all);
}
