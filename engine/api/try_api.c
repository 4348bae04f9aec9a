// try_api.c - POST /api/v1/scripts/try: a script on a few records, nothing sent. The body's records or the
// journal's newest, then a throw-away worker, then the desk that puts the answer together.
#include "api/try_answer.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/newest.h"
#include "script/spec_record.h"

#include <stddef.h>
#include <stdio.h>

enum { ANSWER_BYTES = 64 << 20 };

struct attempt {
  struct work work; // first
  struct app *app;
  struct http_request *request;
  struct try_plan plan;
  struct newest newest;
  struct pool_trial trial;
  struct pool_trial_record tried[LIMIT_TRIAL_RECORDS];
  struct try_item items[LIMIT_TRIAL_RECORDS];
  uint32_t count;
  struct buf answer;
  bool answered;
  struct err err;
};

static void attempt_free(struct attempt *a) {
  a->app->trials--;
  pool_trial_fini(&a->trial);
  newest_fini(&a->newest);
  try_plan_fini(&a->plan);
  buf_fini(&a->answer);
  mem_free(a);
}

static void give_up(struct attempt *a, int status, const char *why) {
  if (status == 503) http_answer_header(a->request, "Retry-After", "1");
  http_answer_problem(a->request, status, "%s", why);
  attempt_free(a);
}

// ---- the answer ----

static void write_answer(struct work *work) {
  struct attempt *a = (struct attempt *)work;
  a->answered = try_answer_write(&a->answer, a->items, a->count, &a->plan, &a->err);
}

static void answer_written(struct work *work) {
  struct attempt *a = (struct attempt *)work;
  if (!a->answered) {
    give_up(a, 503, a->err.text);
    return;
  }
  http_answer(a->request, 200, "application/json", buf_slice(&a->answer));
  attempt_free(a);
}

// ---- the trial ----

static void trial_done(struct pool_trial *trial) {
  struct attempt *a = (struct attempt *)((char *)trial - offsetof(struct attempt, trial));
  if (trial->end != POOL_TRIAL_DONE) {
    give_up(a, trial->end == POOL_TRIAL_REFUSED ? 422 : 503, trial->err.text);
    return;
  }
  for (uint32_t i = 0, next = 0; i < a->count; i++)
    if (!a->items[i].reason && !a->items[i].refused[0]) a->items[i].result = &trial->results[next++];
  a->work = (struct work){.loop = a->app->loop, .run = write_answer, .done = answer_written};
  work_desk_do(a->app->desk, &a->work);
}

// Those that the sink does not take are dropped before the script, as in a stream.
static void start_trial(struct attempt *a) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < a->count; i++) {
    struct try_item *item = &a->items[i];
    if (item->refused[0]) continue;
    if (a->plan.sink && !(a->plan.sink->accepts >> item->header.kind & 1)) item->reason = "sink";
    if (!item->reason) a->tried[count++] = (struct pool_trial_record){item->header, item->record};
  }
  a->trial = (struct pool_trial){.loop = a->app->loop,
                                 .program = a->plan.program,
                                 .records = a->tried,
                                 .count = count,
                                 .done = trial_done};
  pool_trial(a->app->pool, &a->trial);
}

// ---- records ----

static void newest_found(struct newest *newest) {
  struct attempt *a = (struct attempt *)((char *)newest - offsetof(struct attempt, newest));
  if (!newest->ok) {
    give_up(a, 503, "the journal's newest records can't be read now: try again");
    return;
  }
  a->count = newest->count;
  for (uint32_t i = 0; i < a->count; i++)
    a->items[i] = (struct try_item){.record = newest->records[i].bytes, .header = newest->records[i].header};
  start_trial(a);
}

static void find_newest(struct attempt *a) {
  a->newest.loop = a->app->loop;
  a->newest.journal = a->app->journal;
  a->newest.organisation = a->plan.organisation;
  a->newest.kinds = a->plan.kinds;
  a->newest.wanted = a->plan.last;
  a->newest.done = newest_found;
  newest_begin(&a->newest);
}

static void read_record(struct attempt *a, struct slice text) {
  struct err err = {0};
  struct try_item *item = &a->items[a->count++];
  item->record = text;
  if (!spec_record_read(&a->app->tape, text, &item->header, &err))
    snprintf(item->refused, sizeof item->refused, "%.*s", (int)sizeof item->refused - 1, err.text);
  item->header.sequence = a->count;
}

// The elements of the array at `records`. False with err.
static bool read_records(struct attempt *a, const struct json_tape *body, uint32_t records, struct err *err) {
  const struct json_entry *array = &body->entries[records];
  if (json_kind_of(body, records) != TAPE_ARRAY || array->count < 1 || array->count > LIMIT_TRIAL_RECORDS)
    return err_set(err, "'records' must be an array of 1 to %d records", LIMIT_TRIAL_RECORDS);
  if (array->len > LIMIT_TRIAL_BYTES)
    return err_set(err, "'records' are longer than %d MB together: try fewer", LIMIT_TRIAL_BYTES >> 20);
  for (uint32_t i = records + 1; i < array->next; i = body->entries[i].next)
    read_record(a, json_raw(body, i));
  return true;
}

// ---- the body ----

// Without its records, whose digits jansson would not keep. NULL after an answer.
static json_t *parse_rest(struct http_request *request, struct slice body, const struct json_tape *tape,
                          uint32_t records) {
  struct slice left_out = json_raw(tape, records);
  struct buf rest;
  size_t front = (size_t)(left_out.at - body.at), behind = front + left_out.len;
  buf_init(&rest, body.len + 8);
  json_t *json = NULL;
  if (buf_append(&rest, body.at, front) && buf_append_text(&rest, "null") &&
      buf_append(&rest, body.at + behind, body.len - behind))
    json = request_json_of(request, buf_slice(&rest));
  else
    http_answer_problem(request, 503, "out of memory: try again");
  buf_fini(&rest);
  return json;
}

// False after an answer.
static bool read_body(struct attempt *a, struct route_call *call) {
  struct slice body = http_request_body(call->request);
  struct json_tape tape;
  struct json_fault fault;
  struct err err = {0};
  if (body.len > LIMIT_TRIAL_BODY_BYTES) {
    http_answer_problem(call->request, 413, "a trial's body is %d MB at most: try fewer records",
                        LIMIT_TRIAL_BODY_BYTES >> 20);
    return false;
  }
  json_tape_init(&tape);
  tape.max_bytes = body.len;
  tape.max_depth = LIMIT_JSON_DEPTH + 2;
  uint32_t records =
      json_tape_parse(&tape, body, &fault) ? json_find(&tape, 0, slice_of("records")) : JSON_NONE;
  json_t *rest = records ? parse_rest(call->request, body, &tape, records) : request_json(call->request);
  bool ok = rest && (!records || read_records(a, &tape, records, &err));
  if (rest && !ok) http_answer_problem(call->request, 422, "%s", err.text);
  ok = ok && try_plan_read(&a->plan, call, rest, records != JSON_NONE);
  json_decref(rest);
  json_tape_fini(&tape);
  return ok;
}

void scripts_try(struct route_call *call) {
  struct attempt *a = call->app->trials < LIMIT_TRIALS_ASKED ? mem_zero(1, sizeof *a) : NULL;
  if (!a) {
    http_answer_header(call->request, "Retry-After", "1");
    http_answer_problem(call->request, 503, "too many trials are under way, or memory is short: try again");
    return;
  }
  call->app->trials++;
  a->app = call->app;
  a->request = call->request;
  buf_init(&a->answer, ANSWER_BYTES);
  if (!read_body(a, call))
    attempt_free(a);
  else if (a->plan.last)
    find_newest(a);
  else
    start_trial(a);
}
