#include "script/spec.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/spec_parts.h"

#include <stdio.h>

// ---- a spec file, loaded ----

void *spec_room(void *array, uint32_t count, uint32_t *cap, size_t bytes) {
  if (count < *cap) return array;
  uint32_t more = *cap ? 2 * *cap : 16;
  void *grown = mem_grow(array, more * bytes);
  if (grown) *cap = more;
  return grown;
}

static void forget_cases(struct spec *spec) {
  for (uint32_t i = 0; i < spec->it_count; i++)
    mem_free(spec->its[i].name);
  for (uint32_t i = 0; i < spec->block_count; i++)
    mem_free(spec->blocks[i].name);
  spec->it_count = spec->before_count = spec->block_count = spec->block = spec->depth = 0;
}

static void unload(struct spec *spec) {
  spec_hosts_close(spec, 0);
  lua_state_free(spec->lua);
  spec->lua = NULL;
  forget_cases(spec);
}

static bool add_root(struct spec *spec, struct err *err) {
  struct spec_block *blocks = spec_room(spec->blocks, 0, &spec->block_cap, sizeof *blocks);
  char *name = mem_copy("", 0);
  if (blocks) spec->blocks = blocks;
  if (!blocks || !name) {
    mem_free(name);
    return err_set(err, "out of memory");
  }
  spec->blocks[spec->block_count++] = (struct spec_block){0, name};
  return true;
}

static int open_words(lua_State *L) {
  struct spec *spec = lua_touserdata(L, 1);
  spec_words_open(L, spec);
  spec_hosts_open(L, spec);
  spec_assert_open(L, spec);
  return 0;
}

// Runs the file, which gathers its cases.
static bool load(struct spec *spec, struct slice source, struct err *err) {
  const struct script_limits limits = {.call_ms = LIMIT_SPEC_CASE_MS, .memory_bytes = LIMIT_SPEC_STATE_BYTES};
  struct lua_failure failure;
  unload(spec);
  spec->lua = lua_state_new(&limits, err);
  if (!spec->lua || !add_root(spec, err)) return false;
  if (!lua_state_protect(spec->lua, open_words, spec, 0, 0, &failure))
    return lua_failure_err(&failure, spec->file, err);
  if (!lua_state_load(spec->lua, spec->file, source, err)) return false;
  lua_pop(spec->lua->L, 1);
  return true;
}

// ---- one case ----

static bool call(struct spec *spec, int function, struct lua_failure *failure) {
  lua_rawgeti(spec->lua->L, LUA_REGISTRYINDEX, function);
  return lua_state_call(spec->lua, 0, 0, failure);
}

// Those of the outer blocks first; within a block in their order.
static bool run_befores(struct spec *spec, uint32_t block, struct lua_failure *failure) {
  if (block && !run_befores(spec, spec->blocks[block].parent, failure)) return false;
  for (uint32_t i = 0; i < spec->before_count; i++)
    if (spec->befores[i].block == block && !call(spec, spec->befores[i].hook, failure)) return false;
  return true;
}

// The diff is told only for the assertion that ended the case, and the script's own error only where the
// message lacks it.
static void complete_details(struct spec *spec, const struct lua_failure *failure) {
  size_t len = strlen(spec->assertion);
  if (!len || strncmp(failure->text, spec->assertion, len) != 0) spec->details.len = 0;
  if (spec->details.len && spec->details.at[spec->details.len - 1] != '\n')
    buf_append_byte(&spec->details, '\n');
  if (spec->script_error[0] && !strstr(failure->text, spec->script_error))
    buf_printf(&spec->details, "the script failed: %s\n", spec->script_error);
}

static void run_case(struct spec *spec, const struct spec_it *it, struct spec_case *out) {
  struct lua_failure failure = {0};
  uint64_t begun = clock_mono_ns();
  uint32_t hosts = spec->host_count;
  spec->details.len = 0;
  spec->assertion[0] = spec->script_error[0] = 0;
  spec->running = true;
  out->ok = run_befores(spec, it->block, &failure) && call(spec, it->body, &failure);
  spec->running = false;
  spec_hosts_close(spec, hosts);
  out->took_us = (clock_mono_ns() - begun) / 1000;
  if (out->ok) return;
  complete_details(spec, &failure);
  out->failed_line = failure.line ? failure.line : it->line;
  snprintf(spec->message, sizeof spec->message, "%s", failure.text);
  out->message = spec->message;
  out->details = buf_slice(&spec->details);
}

static bool wanted(const struct spec *spec, const struct spec_it *it) {
  return !spec->options->only || strstr(it->name, spec->options->only);
}

// One case, or its place if the file's time is over.
static void report_case(struct spec *spec, const struct spec_it *it, bool late) {
  struct spec_case result = {.name = it->name, .line = it->line, .message = ""};
  const struct spec_report *report = spec->report;
  report->begun(report->arg, it->name, it->line);
  if (late) {
    result.failed_line = it->line;
    result.message = "was not run: the cases before it took too long";
  } else {
    run_case(spec, it, &result);
  }
  report->ended(report->arg, &result);
}

// A worn state is thrown away, and the file run anew for the cases that are left.
static bool renew(struct spec *spec, struct slice source, struct err *err) {
  uint32_t count = spec->it_count;
  if (!lua_state_worn(spec->lua)) return true;
  if (!load(spec, source, err)) return false;
  return spec->it_count == count ||
         err_set(err, "%s: has other cases when it is run a second time", spec->file);
}

static bool run_cases(struct spec *spec, struct slice source, struct err *err) {
  uint64_t end = clock_mono_ms() + LIMIT_SPEC_FILE_MS;
  for (uint32_t i = 0; i < spec->it_count; i++) {
    if (!wanted(spec, &spec->its[i])) continue;
    if (!renew(spec, source, err)) return false;
    report_case(spec, &spec->its[i], clock_mono_ms() > end);
  }
  return true;
}

static void init(struct spec *spec, const char *file, const struct spec_options *options,
                 const struct spec_report *report) {
  *spec = (struct spec){.file = file, .options = options, .report = report};
  json_tape_init(&spec->tape);
  buf_init(&spec->text, LIMIT_SPEC_FILE_BYTES + 1);
  buf_init(&spec->details, 1 << 20);
}

static void fini(struct spec *spec) {
  unload(spec);
  mem_free(spec->its);
  mem_free(spec->befores);
  mem_free(spec->blocks);
  json_tape_fini(&spec->tape);
  buf_fini(&spec->text);
  buf_fini(&spec->details);
}

bool spec_run(const char *file, const struct spec_options *options, const struct spec_report *report,
              struct err *err) {
  size_t len;
  char *source = disk_read_file(file, LIMIT_SCRIPT_SOURCE_BYTES, &len, err);
  struct spec *spec = source ? mem_zero(1, sizeof *spec) : NULL;
  bool ok = false;
  if (spec) {
    init(spec, file, options, report);
    ok = load(spec, slice_make(source, len), err) && run_cases(spec, slice_make(source, len), err);
    fini(spec);
  }
  mem_free(spec);
  mem_free(source);
  return ok || err_set(err, "%s: out of memory", file);
}
