// spec_golden.c - a golden case: what a script makes of its input, line by line and by value against what is
// written down.
#include "base/clock.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_json.h"
#include "script/lua_text.h"
#include "script/spec.h"
#include "script/spec_compare.h"
#include "script/spec_stream.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { SHOWN_BYTES = 200 }; // of a line

struct golden {
  struct spec_stream *stream;
  struct lua_state *lua; // to compare in
  char input_file[PATH_MAX], output_file[PATH_MAX], script_file[PATH_MAX];
  char *input, *expected; // files' bytes
  size_t input_len, expected_len;
  bool has_expected;
  struct buf made;   // a line each result
  uint32_t *made_of; // a result's line of input
  uint32_t made_count, made_cap;
  struct json_tape tape;
  struct buf details;
  uint32_t different; // lines
};

// The next line without its end; false at the end. Empty lines are passed over, but counted.
static bool next_line(struct slice *left, uint32_t *number, struct slice *line) {
  while (left->len) {
    const char *end = memchr(left->at, '\n', left->len);
    size_t len = end ? (size_t)(end - left->at) : left->len, used = end ? len + 1 : len;
    *line = slice_make(left->at, len);
    *left = slice_make(left->at + used, left->len - used);
    ++*number;
    if (line->len && line->at[line->len - 1] == '\r') line->len--;
    if (line->len) return true;
  }
  return false;
}

// ---- what the script makes of the input ----

static bool add_outputs(struct golden *g, uint32_t line, struct err *err) {
  const struct script_result *result = spec_stream_result(g->stream);
  for (uint32_t i = 0; result->outcome == SCRIPT_KEPT && i < result->output_count; i++) {
    const struct script_output *output = &result->outputs[i];
    uint32_t *made_of = mem_grow(g->made_of, (g->made_count + 1) * sizeof *made_of);
    if (made_of) g->made_of = made_of;
    if (!made_of || !buf_append(&g->made, result->bytes.at + output->body_at, output->body_len) ||
        !buf_append_byte(&g->made, '\n'))
      return err_set(err, "%s: makes too much", g->script_file);
    g->made_of[g->made_count++] = line;
  }
  return true;
}

static bool run_line(struct golden *g, struct slice record, uint32_t line, struct err *err) {
  char text[600];
  struct err why = {{0}};
  if (!spec_stream_run(g->stream, record, &why))
    return err_set(err, "%s:%u: %s", g->input_file, line, why.text);
  if (spec_stream_failed(g->stream, text, sizeof text)) return err_set(err, "%s (input line %u)", text, line);
  return add_outputs(g, line, err);
}

static bool make(struct golden *g, const struct spec_options *options, struct err *err) {
  struct slice left, line;
  uint32_t number = 0;
  g->input = disk_read_file(g->input_file, LIMIT_SPEC_FILE_BYTES, &g->input_len, err);
  g->stream = g->input ? spec_stream_open(g->script_file, slice_make("", 0), options->coverage, err) : NULL;
  if (!g->stream) return false;
  for (left = slice_make(g->input, g->input_len); next_line(&left, &number, &line);)
    if (!run_line(g, line, number, err)) return false;
  return true;
}

// ---- the comparison ----

struct pair {
  const struct json_tape *expected, *got;
  const char *root;
  struct buf *out;
  bool same;
};

static int compare_pair(lua_State *L) {
  struct pair *pair = lua_touserdata(L, 1);
  lua_json_push(L, pair->expected, 0);
  lua_json_push(L, pair->got, 0);
  pair->same = spec_compare(L, 2, 3, pair->root, pair->out);
  return 0;
}

static bool compare_lines(struct golden *g, struct slice expected, struct slice got, uint32_t number,
                          uint32_t made_of, struct err *err) {
  struct json_tape got_tape;
  struct json_fault fault;
  struct lua_failure failure;
  char root[32];
  snprintf(root, sizeof root, "line %u", number);
  struct pair pair = {&g->tape, &got_tape, root, &g->details, true};
  if (slice_equal(expected, got)) return true;
  if (!json_tape_parse(&g->tape, expected, &fault))
    return err_set(err, "%s:%u: no JSON: %s", g->output_file, number,
                   fault.what ? fault.what : "out of memory");
  json_tape_init(&got_tape);
  bool ok = json_tape_parse(&got_tape, got, &fault) &&
            lua_state_protect(g->lua, compare_pair, &pair, 0, 0, &failure);
  json_tape_fini(&got_tape);
  if (!ok) return err_set(err, "%s:%u: can't be compared", g->output_file, number);
  if (pair.same) return true;
  g->different++;
  buf_printf(&g->details, "  line %u was made of input line %u\n", number, made_of);
  return true;
}

static void tell_lines(struct golden *g, const char *what, struct slice line, uint32_t number,
                       uint32_t made_of) {
  char shown[SHOWN_BYTES + 1];
  lua_text_clean(line, shown, sizeof shown);
  g->different++;
  buf_printf(&g->details, "line %u: %s %s%s", number, what, shown, line.len > SHOWN_BYTES ? "..." : "");
  if (made_of) buf_printf(&g->details, " (of input line %u)", made_of);
  buf_append_byte(&g->details, '\n');
}

static bool compare(struct golden *g, struct err *err) {
  struct slice expected = slice_make(g->expected, g->expected_len), made = buf_slice(&g->made), a, b;
  uint32_t number = 0, place = 0, ignored = 0;
  if (!(g->lua = lua_state_new(
            &(struct script_limits){.call_ms = LIMIT_SPEC_CASE_MS, .memory_bytes = LIMIT_SPEC_STATE_BYTES},
            err)))
    return false;
  while (g->different < SPEC_DIFFERENCES) {
    bool has_a = next_line(&expected, &number, &a), has_b = next_line(&made, &ignored, &b);
    uint32_t made_of = has_b ? g->made_of[place++] : 0;
    if (!has_a && !has_b) break;
    if (!has_a)
      tell_lines(g, "extra, got", b, ++number, made_of);
    else if (!has_b)
      tell_lines(g, "missing, expected", a, number, 0);
    else if (!compare_lines(g, a, b, number, made_of, err))
      return false;
  }
  return g->different == 0 || err_set(err, "%s is not what the script makes of the input", g->output_file);
}

// ---- the case ----

static bool read_expected(struct golden *g, struct err *err) {
  g->has_expected = access(g->output_file, F_OK) == 0;
  if (!g->has_expected) return true;
  g->expected = disk_read_file(g->output_file, LIMIT_SPEC_FILE_BYTES, &g->expected_len, err);
  return g->expected != NULL;
}

// Writes the output if it is not there byte by byte; `text` says so.
static bool update(struct golden *g, char *text, size_t room, struct err *err) {
  struct slice made = buf_slice(&g->made);
  if (g->has_expected && slice_equal(made, slice_make(g->expected, g->expected_len))) return true;
  snprintf(text, room, "%u line%s written to %s", g->made_count, g->made_count == 1 ? "" : "s",
           g->output_file);
  return disk_replace_file(g->output_file, made.at ? made : slice_make("", 0), 0644, err);
}

static bool check(struct golden *g, const struct spec_options *options, char *text, size_t room,
                  struct err *err) {
  if (!make(g, options, err) || !read_expected(g, err)) return false;
  if (options->update) return update(g, text, room, err);
  if (!g->has_expected) return err_set(err, "there is no %s; --update writes it", g->output_file);
  return compare(g, err);
}

static struct golden *new_golden(const char *name) {
  struct golden *g = mem_zero(1, sizeof *g);
  if (!g) return NULL;
  json_tape_init(&g->tape);
  buf_init(&g->made, LIMIT_SPEC_FILE_BYTES);
  buf_init(&g->details, 1 << 20);
  snprintf(g->input_file, sizeof g->input_file, "%s.input.ndjson", name);
  snprintf(g->output_file, sizeof g->output_file, "%s.output.ndjson", name);
  snprintf(g->script_file, sizeof g->script_file, "%s.lua", name);
  return g;
}

static void free_golden(struct golden *g) {
  spec_stream_close(g->stream);
  lua_state_free(g->lua);
  json_tape_fini(&g->tape);
  buf_fini(&g->made);
  buf_fini(&g->details);
  mem_free(g->made_of);
  mem_free(g->input);
  mem_free(g->expected);
  mem_free(g);
}

bool spec_golden_run(const char *name, const struct spec_options *options, const struct spec_report *report,
                     struct err *err) {
  char text[PATH_MAX + 64] = "", title[SPEC_NAME_BYTES];
  struct err why = {{0}};
  const char *slash = strrchr(name, '/');
  snprintf(title, sizeof title, "%.200s golden case", slash ? slash + 1 : name);
  if (options->only && !strstr(title, options->only)) return true;
  struct golden *g = new_golden(name);
  if (!g) return err_set(err, "%s: out of memory", name);
  report->begun(report->arg, title, 0);
  report->loading(report->arg, g->script_file);
  uint64_t begun = clock_mono_ns();
  struct spec_case done = {.name = title};
  done.ok = check(g, options, text, sizeof text, &why);
  done.took_us = (clock_mono_ns() - begun) / 1000;
  done.message = done.ok ? text : why.text;
  done.details = buf_slice(&g->details);
  report->ended(report->arg, &done);
  free_golden(g);
  return true;
}
