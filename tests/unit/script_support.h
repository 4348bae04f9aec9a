// script_support.h - runs a script on a record and says in one line of text what came out of it.
#pragma once
#include "base/json_tape.h"
#include "script/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char event_record[] =
    "{\"id\":174000001,\"timestamp\":\"2026-11-20T00:00:00.049+0000\",\"event_type\":{\"id\":5,"
    "\"description\":\"x\"},"
    "\"event_severity\":{\"id\":1},\"organisation\":{\"id\":80000,\"name\":\"Customer \\\"80000\\\" "
    "\\u20ac\"},"
    "\"endpoint\":{\"id\":8000135,\"name\":null,\"tags\":[\"fleet\",\"truck\",null,7]},\"big\":"
    "898822806670000135,"
    "\"huge\":18446744073709551616,\"small\":-9007199254740993,\"edge\":9007199254740992,\"cost\":0.008531,"
    "\"empty\":{},\"none\":[],\"detail\":{\"volume\":{\"total\":1.50,\"tx\":0}},\"alert\":false}";

struct runner {
  struct script *script;
  struct json_tape tape;
  struct record_header header;
  struct script_result result;
  char text[8192];
};

static struct script *load(const char *source) {
  struct err err = {{0}};
  struct script *script = script_load("test", slice_of(source), SCRIPT_STREAM, NULL, &err);
  if (!script) fail_msg("%s\n%s", err.text, source);
  return script;
}

static void runner_open(struct runner *r, struct script *script) {
  *r = (struct runner){.script = script};
  json_tape_init(&r->tape);
  script_result_init(&r->result);
}

static void runner_close(struct runner *r) {
  script_free(r->script);
  json_tape_fini(&r->tape);
  script_result_fini(&r->result);
}

static void add_text(struct runner *r, const char *at, size_t len) {
  size_t used = strlen(r->text);
  snprintf(r->text + used, sizeof r->text - used, "%.*s", (int)len, at);
}

static void describe_kept(struct runner *r) {
  const struct script_result *result = &r->result;
  for (uint32_t i = 0; i < result->output_count; i++) {
    const struct script_output *o = &result->outputs[i];
    assert_true(o->body_at + o->body_len <= result->bytes.len);
    assert_true(o->key_at + o->key_len <= result->bytes.len);
    if (i) add_text(r, " | ", 3);
    add_text(r, result->bytes.at + o->body_at, o->body_len);
    if (o->key_len) add_text(r, " key ", 5);
    add_text(r, result->bytes.at + o->key_at, o->key_len);
  }
}

// The record's bytes in a block of just their length, so that a read behind them is seen by the sanitizer.
static const char *run_record(struct runner *r, uint32_t context, struct slice record) {
  static const char *const words[] = {"", "filtered: ", "failed: ", "timeout: ", "memory: "};
  struct json_fault fault;
  struct err err = {{0}};
  char *exact = test_malloc(record.len);
  memcpy(exact, record.at, record.len);
  r->text[0] = 0;
  assert_true(json_tape_parse(&r->tape, slice_make(exact, record.len), &fault));
  if (!record_read_header(&r->tape, &r->header, &err)) r->header.kind = RECORD_EVENT;
  r->header.received_ms = 1000;
  script_run(r->script, context, &r->header, &r->tape, &r->result);
  add_text(r, words[r->result.outcome], strlen(words[r->result.outcome]));
  if (r->result.outcome == SCRIPT_FAILED || r->result.outcome == SCRIPT_TIMEOUT) {
    char line[24];
    snprintf(line, sizeof line, "%u: ", r->result.line);
    add_text(r, line, strlen(line));
  }
  if (r->result.outcome == SCRIPT_KEPT)
    describe_kept(r);
  else
    add_text(r, r->result.text, strlen(r->result.text));
  test_free(exact);
  return r->text;
}

static inline const char *run(struct runner *r) {
  return run_record(r, 0, slice_of(event_record));
}

struct script_case {
  const char *source, *expected;
};

// A script whose map is `function M.map(rec, ctx) BODY end`, on one line.
static inline void run_bodies(const struct script_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char source[4096];
    struct runner r;
    snprintf(source, sizeof source, "local M = { api = 1 } function M.map(rec, ctx) %s\nend return M",
             cases[i].source);
    runner_open(&r, load(source));
    const char *got = run(&r);
    if (strcmp(got, cases[i].expected) != 0)
      fail_msg("%s\n  gives    %s\n  expected %s", cases[i].source, got, cases[i].expected);
    runner_close(&r);
  }
}
#define RUN_BODIES(cases) run_bodies(cases, sizeof(cases) / sizeof *(cases))
