// json_support.h - what the tests of the tape share: a record, and a tape of a text that must be right.
#pragma once
#include "base/json_tape.h"

static const char json_sample[] =
    "{\"cost\":0.01666025,\"id\":174000000,\"operator\":{\"id\":48,\"country\":{\"id\":68,\"name\":"
    "\"France\"}},"
    "\"tags\":[\"a\\\"b\",\"\\u20ac\",[],{},null],\"currency\":{\"symbol\":\"\xe2\x82\xac\",\"code\":\"EUR\"}"
    ",\"live\":true,"
    "\"end_timestamp\":\"2026-11-20 00:01:29\",\"imsi\":\"901405300000097\",\"mb\":-1.25e-3}";

static inline struct json_tape json_parsed(const char *text) {
  struct json_tape t;
  struct json_fault fault;
  json_tape_init(&t);
  if (!json_tape_parse(&t, slice_of(text), &fault)) fail_msg("%s: %s at %zu", text, fault.what, fault.at);
  return t;
}
