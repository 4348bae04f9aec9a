// reload_stages.c - one changed file: read, compiled apart, its specs run, taken over by its streams.
#include "base/disk.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/reload_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

// ---- streams take it over ----

static void renew_more(struct reload_file *f);

static void tell_stream(const struct reload_file *f, const struct streams_answer *answer) {
  const struct stream_entry *entry = streams_find(f->all->options.streams, answer->id);
  char text[STATUS_ERROR_BYTES];
  if (!entry) return;
  const char *version = f->kind == RELOAD_SINK ? entry->definition->sink->version : entry->definition->script_version;
  log_error("stream=%s doing=reload version=%s%s", answer->id, f->version, log_field("error", answer->err.text));
  snprintf(text, sizeof text, "%.420s (version %s goes on)", answer->err.text, version);
  status_set_version_error(entry->status, text);
}

// A stream that is being changed meanwhile is looked at after that.
static void renewed(const struct streams_answer *answer, void *arg) {
  struct reload_file *f = arg;
  f->renewing--;
  if (answer->outcome == STREAMS_DONE) f->taken++;
  if (answer->outcome == STREAMS_REFUSED || answer->outcome == STREAMS_FAILED) {
    f->refusals++;
    f->told = true;
    tell_stream(f, answer);
  }
  if (!f->stepping) renew_more(f);
}

static void taken_over(struct reload_file *f) {
  if (f->taken || f->refusals)
    log_info("%s=%s doing=reload version=%s streams=%u refused=%u", reload_kind_name(f), f->name, f->version, f->taken, f->refusals);
  reload_rest(f);
}

// Each renewal may be answered at once.
static void renew_more(struct reload_file *f) {
  struct streams *streams = f->all->options.streams;
  struct streams_renewal renewal = {.source = f->kind == RELOAD_SCRIPT ? slice_make(f->source, f->len) : (struct slice){0}};
  f->stepping = true;
  while (f->renewing < LIMIT_RELOAD_RENEWALS) {
    size_t i = streams_behind(streams, f->cursor);
    while (i < streams_count(streams) && !reload_wants(f, streams_at(streams, i))) i++;
    if (i == streams_count(streams)) break;
    const struct stream_entry *entry = streams_at(streams, i);
    memcpy(f->cursor, entry->definition->id, sizeof f->cursor);
    f->renewing++;
    renewal.untried = f->asked++ >= LIMIT_RELOAD_TRIALS;
    streams_renew(streams, entry, &renewal, renewed, f);
  }
  f->stepping = false;
  if (!f->renewing) taken_over(f);
}

static void renew(struct reload_file *f) {
  f->state = RELOAD_RENEWS;
  f->refused[0] = f->cursor[0] = 0;
  f->asked = f->taken = f->refusals = 0;
  f->told = false;
  renew_more(f);
}

// From now on new streams have it.
static void put_sink(struct reload_file *f) {
  char path[PATH_BYTES];
  struct err err = {0};
  reload_path(f, path, sizeof path);
  struct sink *sink = sink_load(path, slice_make(f->source, f->len), &err);
  if (!sink || !sink_set_put(f->all->options.sinks, sink, &err)) {
    reload_refuse(f, err.text);
    return;
  }
  sink_ref(sink);
  f->sink = sink;
  log_info("sink=%s doing=load version=%s", sink->name, sink->version);
  renew(f);
}

// ---- read ----

// A regular file alone: to open anything else may take for ever.
static bool read_source(struct reload_file *f, struct err *err) {
  char path[PATH_BYTES];
  struct stat s;
  reload_path(f, path, sizeof path);
  if (stat(path, &s) != 0) return err_set_errno(err, "cannot read %s", path);
  if (!S_ISREG(s.st_mode)) return err_set(err, "cannot read %s: it is not a file", path);
  f->source = disk_read_file(path, LIMIT_SCRIPT_SOURCE_BYTES, &f->len, err);
  if (f->source && !f->len) return err_set(err, "%s is empty", path);
  return f->source != NULL;
}

// What was tested is what is in the file: else there is another change to look at.
static bool is_still_there(const struct reload_file *f) {
  struct reload_file now = {.all = f->all, .kind = f->kind};
  struct err err = {0};
  memcpy(now.name, f->name, sizeof now.name);
  bool same = read_source(&now, &err) && slice_equal(slice_make(now.source, now.len), slice_make(f->source, f->len));
  mem_free(now.source);
  return same;
}

// ---- compiled, tested ----

static void pass(struct reload_file *f) {
  if (!is_still_there(f)) {
    f->again = true;
    reload_rest(f);
  } else if (f->kind == RELOAD_SINK) {
    put_sink(f);
  } else {
    renew(f);
  }
}

static void tested(void *arg, bool ok, const char *why) {
  struct reload_file *f = arg;
  if (ok) pass(f);
  else if (is_still_there(f)) reload_refuse(f, why);
  else pass(f);
}

static void test(struct reload_file *f) {
  char path[PATH_BYTES];
  struct err err = {0};
  reload_path(f, path, sizeof path);
  f->state = RELOAD_TESTS;
  if (!spec_run_wanted(path)) {
    pass(f);
    return;
  }
  f->specs = spec_run_start(f->all->options.loop, f->all->options.executable, path, tested, f, &err);
  if (!f->specs) reload_refuse(f, err.text);
}

static void checked(struct pool_check *check) {
  struct reload_file *f = (struct reload_file *)((char *)check - offsetof(struct reload_file, check));
  if (check->ok) test(f);
  else reload_refuse(f, check->err.text);
}

static void check(struct reload_file *f) {
  char *label = f->label;
  snprintf(label, sizeof f->label, "%s.lua", f->name);
  f->state = RELOAD_CHECKS;
  f->check = (struct pool_check){.loop = f->all->options.loop, .name = label, .source = slice_make(f->source, f->len),
                                 .role = f->kind == RELOAD_SINK ? SCRIPT_SINK : SCRIPT_STREAM, .done = checked};
  pool_check(f->all->options.pool, &f->check);
}

// ---- looked at ----

static bool is_absent(const struct reload_file *f) {
  char path[PATH_BYTES];
  reload_path(f, path, sizeof path);
  return access(path, F_OK) != 0;
}

static void take_away(struct reload_file *f) {
  char path[PATH_BYTES];
  reload_path(f, path, sizeof path);
  struct sink *sink = f->kind == RELOAD_SINK ? sink_set_of_file(f->all->options.sinks, path) : NULL;
  if (sink) {
    log_warn("sink=%s doing=take-away reason=\"its file is gone\" note=\"streams that use it go on\"", sink->name);
    sink_set_drop(f->all->options.sinks, sink);
  }
  f->refused[0] = 0;
  reload_rest(f);
}

// As it runs already: nothing to do, but that its streams may have been told of a version that was no good.
static bool is_known(struct reload_file *f) {
  if (f->kind == RELOAD_SCRIPT) return !reload_is_wanted(f);
  char path[PATH_BYTES];
  reload_path(f, path, sizeof path);
  struct sink *sink = sink_set_of_file(f->all->options.sinks, path);
  if (!sink || !slice_equal(sink->source, slice_make(f->source, f->len))) return false;
  sink_ref(sink);
  f->sink = sink;
  return true;
}

void reload_begin(struct reload_file *f) {
  struct err err = {0};
  f->version[0] = 0;
  if (!read_source(f, &err)) {
    if (is_absent(f)) take_away(f);
    else reload_refuse(f, err.text);
    return;
  }
  definition_version(slice_make(f->source, f->len), f->version);
  if (is_known(f)) {
    if (f->told) reload_tell_users(f, NULL);
    f->told = false;
    if (f->sink && reload_is_wanted(f)) {
      renew(f);
      return;
    }
    f->refused[0] = 0;
    reload_rest(f);
  } else if (strcmp(f->version, f->refused) == 0) {
    reload_rest(f);
  } else {
    check(f);
  }
}
