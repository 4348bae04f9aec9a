// delivery_support.h - for the tests of deliveries: streams of usual and unusual sinks, and a receiver's ways to answer.
#pragma once
#include "courier_support.h"

static struct world w;

static const char *const no_sinks[] = {NULL};

static int plan[64]; // statuses, in turn; 0: 200 from here on
static const char *plan_retry_after;

static inline void by_plan(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  int status = plan[world->got_count - 1 < 63 ? world->got_count - 1 : 63];
  reply->status = status ? status : 200;
  reply->body = "an answer";
  if (reply->status >= 400) reply->retry_after = plan_retry_after;
}

// A sink that judges record by record, by the words of the answer: d, r or rSECONDS, x, p.
static const char *const with_list[] = {
    "list.lua",
    "local S = { api = 1, name = 'list', title = 'List', framing = 'lines', batch = { records = 100 },\n"
    "  settings = { { 'url', type = 'url', required = true } } }\n"
    "function S.request(batch, settings) return { url = settings.url, webhook = true } end\n"
    "function S.verdict(response)\n"
    "  if response.status ~= 200 then return end\n"
    "  local all = {}\n"
    "  for kind, seconds in response.body:gmatch('(%a)(%d*)') do\n"
    "    all[#all + 1] = kind == 'd' and 'delivered' or kind == 'r' and { 'retry', tonumber(seconds) }\n"
    "      or kind == 'x' and { 'reject', 'bad' } or { 'pause', 'full' }\n"
    "  end\n"
    "  return all\n"
    "end\nreturn S",
    NULL};
static const char *words[64]; // of the list sink's answers, in turn; NULL: all delivered

static inline void by_words(struct world *world, const struct got *got, struct reply *reply) {
  static char all[1000];
  uint32_t records = 0, n = world->got_count - 1;
  for (const char *p = got->body; *p; p++) records += *p == '\n';
  for (uint32_t i = 0; i < records; i++) all[i] = 'd';
  all[records] = 0;
  reply->body = n < 64 && words[n] ? words[n] : all;
}

static inline void open_list(int in_flight) {
  world_open(&w, with_list);
  memset(words, 0, sizeof words);
  w.answer = by_words;
  stream_open(&w, "list", "{}", in_flight);
}

static inline void open_with(const char *sink, const char *settings, int in_flight, void (*answer)(struct world *, const struct got *, struct reply *)) {
  world_open(&w, no_sinks);
  stream_open(&w, sink, settings, in_flight);
  memset(plan, 0, sizeof plan);
  plan_retry_after = NULL;
  w.answer = answer;
}

static uint64_t wait_ms;

static inline bool waits(struct world *world) {
  const struct heap_node *first = heap_first(&world->courier->lane_timers);
  if (first) wait_ms = first->due > courier_now_ms() ? first->due - courier_now_ms() : 0;
  return first && !world->courier->requests;
}

static inline bool is_quiet(struct world *world) {
  return world->got_count && !world->courier->requests;
}

static const char *culprit; // a body with it in is refused

static inline void refuse_the_culprit(struct world *world, const struct got *got, struct reply *reply) {
  (void)world;
  reply->status = strstr(got->body, culprit) ? 422 : 200;
  reply->body = "no \xff such \"thing\"";
}

static inline void refuse_all(struct world *world, const struct got *got, struct reply *reply) {
  (void)world, (void)got;
  reply->status = 400;
}

static const int one_endpoint[100] = {0};

static inline uint32_t tries_of(const char *body) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < w.got_count; i++) n += strcmp(w.got[i].body, body) == 0;
  return n;
}

static uint32_t wanted;
static const char *wanted_body;

static inline bool was_tried(struct world *world) {
  return tries_of(wanted_body) >= wanted && !world->courier->requests;
}

static inline void try_until(const char *body, uint32_t tries) {
  wanted_body = body;
  wanted = tries_of(body) + tries;
  w.haste = true;
  run_until(&w, was_tried);
  w.haste = false;
}
