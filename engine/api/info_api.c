// info_api.c - what is there and how it does: the front page, sinks, health, readiness.
#include "api/app.h"

void root_get(struct route_call *call) {
  static const char text[] = "Sluice " SLUICE_VERSION "\n\nThe API is under /api/v1, numbers are at /metrics, health at /healthz and /readyz.\n"
                             "The portal is not part of this version.\n";
  http_answer(call->request, 200, "text/plain; charset=utf-8", slice_of(text));
}

void sinks_list(struct route_call *call) {
  json_t *items = json_array();
  for (size_t i = 0; i < sink_set_count(call->app->sinks); i++)
    json_array_append_new(items, sink_describe(sink_set_at(call->app->sinks, i)));
  answer_json(call->request, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

void health_get(struct route_call *call) {
  answer_json(call->request, 200, json_pack("{s:s}", "status", "ok"));
}

void ready_get(struct route_call *call) {
  enum journal_result health = journal_health(call->app->journal);
  const char *why = !call->app->ready          ? "streams are being loaded"
                    : health == JOURNAL_FULL   ? "the journal's disk is full"
                    : health == JOURNAL_FAILED ? "a write to the journal failed: restart the engine"
                                               : NULL;
  if (why) http_answer_problem(call->request, 503, "%s", why);
  else answer_json(call->request, 200, json_pack("{s:s}", "status", "ready"));
}
