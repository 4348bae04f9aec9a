// streams_api.c - /api/v1/streams: list, create, show, change, delete, activate, deactivate.
#include "api/app.h"

#include <stdio.h>

static json_t *show(const struct stream_entry *entry) {
  json_t *shown = definition_show(entry->definition);
  const char *version = entry->definition->script_version;
  json_t *status = status_show(entry->status, version[0] ? version : NULL);
  if (shown && json_object_set_new(shown, "status", status) == 0) return shown;
  json_decref(shown);
  return NULL;
}

static const struct stream_entry *find(struct route_call *call) {
  const struct stream_entry *entry = streams_find(call->app->streams, call->id);
  if (!entry) http_answer_problem(call->request, 404, "there is no stream '%.60s'", call->id);
  return entry;
}

void streams_list(struct route_call *call) {
  struct page page;
  if (!request_page(call->request, &page)) return;
  const struct streams *all = call->app->streams;
  size_t i = page.after[0] ? streams_behind(all, page.after) : 0, end = streams_count(all);
  json_t *items = json_array(), *next = json_null();
  for (; i < end && json_array_size(items) < page.limit; i++) json_array_append_new(items, show(streams_at(all, i)));
  if (i < end && json_array_size(items)) next = json_string(streams_at(all, i - 1)->definition->id);
  answer_json(call->request, 200, json_pack("{s:o, s:o}", "items", items, "next", next));
}

void streams_get(struct route_call *call) {
  const struct stream_entry *entry = find(call);
  if (entry) answer_json(call->request, 200, show(entry));
}

static void answer_failure(struct http_request *request, const struct streams_answer *answer) {
  static const int statuses[] = {[STREAMS_REFUSED] = 422, [STREAMS_BUSY] = 409, [STREAMS_FAILED] = 503};
  if (answer->outcome == STREAMS_FAILED) http_answer_header(request, "Retry-After", "5");
  http_answer_problem(request, statuses[answer->outcome], "%s", answer->err.text);
}

static void created(const struct streams_answer *answer, void *arg) {
  struct http_request *request = arg;
  if (answer->outcome != STREAMS_DONE) {
    answer_failure(request, answer);
    return;
  }
  char location[128];
  snprintf(location, sizeof location, "/api/v1/streams/%s", answer->id);
  http_answer_header(request, "Location", location);
  answer_json(request, 201, show(answer->entry));
}

static void changed(const struct streams_answer *answer, void *arg) {
  if (answer->outcome == STREAMS_DONE) answer_json(arg, 200, show(answer->entry));
  else answer_failure(arg, answer);
}

static void removed(const struct streams_answer *answer, void *arg) {
  if (answer->outcome == STREAMS_DONE)
    answer_json(arg, 200, json_pack("{s:I}", "undelivered", (json_int_t)answer->undelivered));
  else answer_failure(arg, answer);
}

void streams_post(struct route_call *call) {
  json_t *body = request_json(call->request);
  if (!body) return;
  streams_create(call->app->streams, body, created, call->request);
  json_decref(body);
}

void streams_patch(struct route_call *call) {
  const struct stream_entry *entry = find(call);
  json_t *body = entry ? request_json(call->request) : NULL;
  if (!body) return;
  streams_change(call->app->streams, entry, body, changed, call->request);
  json_decref(body);
}

void streams_delete(struct route_call *call) {
  const struct stream_entry *entry = find(call);
  if (entry) streams_remove(call->app->streams, entry, removed, call->request);
}

void streams_activate(struct route_call *call) {
  const struct stream_entry *entry = find(call);
  if (entry) streams_set_active(call->app->streams, entry, true, changed, call->request);
}

void streams_deactivate(struct route_call *call) {
  const struct stream_entry *entry = find(call);
  if (entry) streams_set_active(call->app->streams, entry, false, changed, call->request);
}
