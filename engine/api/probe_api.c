// probe_api.c - POST /api/v1/streams/ID/test: whether the destination takes the stream's settings, in words.
#include "api/app.h"
#include "base/mem.h"

struct test {
  struct probe probe; // first
  struct http_request *request;
};

static void answer(struct http_request *request, const struct probe *p) {
  if (p->end == PROBE_MISSING) {
    http_answer_problem(request, 422, "%s", p->words);
    return;
  }
  if (p->end == PROBE_BUSY) {
    http_answer_header(request, "Retry-After", "1");
    http_answer_problem(request, 503, "%s", p->words);
    return;
  }
  answer_json(request, 200, json_pack("{s:b, s:i, s:I, s:s}", "ok", p->end == PROBE_WORKS, "status", p->status, "took_ms",
                                      (json_int_t)p->took_ms, "message", p->words));
}

static void done(struct probe *probe) {
  struct test *test = (struct test *)probe;
  answer(test->request, probe);
  definition_unref(probe->definition);
  mem_free(test);
}

void streams_test(struct route_call *call) {
  const struct stream_entry *entry = streams_find(call->app->streams, call->id);
  struct test *test = entry ? mem_zero(1, sizeof *test) : NULL;
  if (!test) {
    http_answer_problem(call->request, entry ? 503 : 404, entry ? "out of memory" : "no stream has this id");
    return;
  }
  test->request = call->request;
  test->probe.done = done;
  definition_ref(entry->definition); // a change may come meanwhile
  streams_probe(call->app->streams, entry, &test->probe);
}
