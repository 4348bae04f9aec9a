#include "api/try_answer.h"
#include "base/json_write.h"
#include "flow/request_shown.h"
#include "flow/request_trial.h"

#include <string.h>

struct writing {
  struct buf *out;
  struct request_trial *requests; // NULL: none are shown
  struct request_shown *showing;
  struct buf request;     // the present item's first one, as JSON
  uint32_t request_count; // of the present item
};

static bool put(struct buf *out, const char *text) {
  return buf_append_text(out, text);
}

static bool put_text(struct buf *out, const char *text) {
  return json_write_string(out, slice_of(text));
}

// ---- the request ----

static bool write_headers(struct buf *out, const struct shown *shown) {
  bool ok = put(out, "{");
  for (size_t i = 0; ok && i < shown->header_count; i++)
    ok = (i == 0 || put(out, ",")) && json_write_string(out, shown->headers[i].name) && put(out, ":") &&
         json_write_string(out, shown->headers[i].value);
  return ok && put(out, "}");
}

static bool write_request(struct buf *out, const struct shown *shown) {
  return put(out, "{\"method\":") && json_write_string(out, shown->method) && put(out, ",\"url\":") &&
         json_write_string(out, shown->url) && put(out, ",\"headers\":") && write_headers(out, shown) &&
         put(out, ",\"body\":") && json_write_string(out, shown->body) && put(out, "}");
}

// One record may become several requests: the first is shown, all are made.
static bool seen(void *arg, const struct sink_batch *batch, const struct sink_request *request,
                 struct slice body, struct err *err) {
  struct writing *w = arg;
  struct shown shown;
  if (w->request_count++) return true;
  if (!request_shown_make(w->showing, batch, request, body, &shown, err)) return false;
  return write_request(&w->request, &shown) || err_set(err, "the request is too long to be shown");
}

static bool make_requests(struct writing *w, const struct try_item *item, const struct try_plan *plan,
                          struct err *err) {
  const struct pool_trial_result *result = item->result;
  const struct pool_output *outputs = plan->sink->has_map ? result->mapped : result->outputs;
  uint32_t count = plan->sink->has_map ? result->mapped_count : result->output_count;
  request_trial_drop(w->requests);
  for (uint32_t i = 0; i < count; i++)
    if (!request_trial_add(w->requests, &item->header, outputs[i].body, outputs[i].key, err)) return false;
  return request_trial_flush(w->requests, err);
}

// ---- what the script made ----

static bool write_records(struct buf *out, const struct pool_trial_result *result) {
  bool ok = put(out, ",\"records\":[");
  for (uint32_t i = 0; ok && result && i < result->output_count; i++)
    ok =
        (i == 0 || put(out, ",")) && buf_append(out, result->outputs[i].body.at, result->outputs[i].body.len);
  return ok && put(out, "]");
}

static bool write_alerts(struct buf *out, const struct pool_trial_result *result) {
  bool ok = put(out, ",\"alerts\":[");
  for (uint32_t i = 0; ok && result && i < result->alert_count; i++) {
    const struct script_alert *alert = &result->alerts[i];
    ok = (i == 0 || put(out, ",")) && put(out, "{\"key\":") && put_text(out, alert->key) &&
         put(out, ",\"title\":") && put_text(out, alert->title) &&
         buf_printf(out, ",\"severity\":\"%s\",\"for_s\":%u}", script_severity_name(alert->severity),
                    alert->for_s);
  }
  return ok && put(out, "]");
}

static bool write_log(struct buf *out, const struct pool_trial_result *result) {
  const char *at = result ? result->log : NULL, *end = result ? at + result->log_bytes : NULL;
  bool ok = put(out, ",\"log\":[");
  for (bool first = true; ok && at < end; first = false) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    ok = (first || put(out, ",")) && json_write_string(out, slice_make(at, (size_t)(stop - at)));
    at = stop + 1;
  }
  return ok && put(out, "]");
}

// ",NAME:{message,line}"; without a message, null.
static bool write_error(struct buf *out, const char *name, const char *message, uint32_t line) {
  if (!put(out, ",\"") || !put(out, name)) return false;
  if (!message) return put(out, "\":null");
  if (!put(out, "\":{\"message\":") || !put_text(out, message)) return false;
  return line ? buf_printf(out, ",\"line\":%u}", line) : put(out, ",\"line\":null}");
}

// ---- an item ----

static const char *reason_of(const struct try_item *item) {
  if (item->reason) return item->reason;
  return item->result && item->result->outcome == SCRIPT_FILTERED ? item->result->text : NULL;
}

static const char *failure_of(const struct try_item *item, const struct err *request_err) {
  if (item->refused[0]) return item->refused;
  if (item->result && item->result->outcome > SCRIPT_FILTERED) return item->result->text;
  return request_err->text[0] ? request_err->text : NULL;
}

static bool write_script_part(struct buf *out, const struct try_item *item, bool kept) {
  const char *reason = reason_of(item);
  return put(out, "{\"record\":") &&
         (item->record.len ? buf_append(out, item->record.at, item->record.len) : put(out, "null")) &&
         put(out, kept ? ",\"kept\":true,\"reason\":" : ",\"kept\":false,\"reason\":") &&
         (reason ? put_text(out, reason) : put(out, "null")) && write_records(out, item->result) &&
         write_alerts(out, item->result) &&
         (!item->result || !item->result->alert_failed ||
          write_error(out, "alert_error", item->result->alert_text, item->result->alert_line)) &&
         write_log(out, item->result);
}

static bool write_item(struct writing *w, const struct try_item *item, const struct try_plan *plan) {
  struct err err = {0};
  bool kept = item->result && item->result->outcome == SCRIPT_KEPT;
  uint32_t line = item->result && item->result->outcome > SCRIPT_FILTERED ? item->result->line : 0;
  w->request.len = 0;
  w->request_count = 0;
  bool shown = kept && w->requests && make_requests(w, item, plan, &err) && w->request_count;
  return write_script_part(w->out, item, kept) &&
         write_error(w->out, "error", failure_of(item, &err), line) && put(w->out, ",\"request\":") &&
         (shown ? buf_append(w->out, w->request.at, w->request.len) : put(w->out, "null")) &&
         buf_printf(w->out, ",\"request_count\":%u}", shown ? w->request_count : 0);
}

static bool write_items(struct writing *w, const struct try_item *items, uint32_t count,
                        const struct try_plan *plan) {
  bool ok = put(w->out, "{\"items\":[");
  for (uint32_t i = 0; ok && i < count; i++)
    ok = (i == 0 || put(w->out, ",")) && write_item(w, &items[i], plan);
  return ok && put(w->out, "]}");
}

static bool open_requests(struct writing *w, const struct try_plan *plan, struct err *err) {
  if (!plan->sink) return true;
  json_t *settings = json_loads(plan->settings, 0, NULL);
  w->showing = settings ? request_shown_new(plan->sink, settings, err) : NULL;
  json_decref(settings);
  if (w->showing)
    w->requests = request_trial_new(plan->sink, slice_of(plan->settings), plan->stream_id, seen, w, err);
  return w->requests || err_set(err, "out of memory");
}

bool try_answer_write(struct buf *out, const struct try_item *items, uint32_t count,
                      const struct try_plan *plan, struct err *err) {
  struct writing w = {.out = out};
  buf_init(&w.request, out->max);
  bool ok = open_requests(&w, plan, err) &&
            (write_items(&w, items, count, plan) ||
             err_set(err, "the answer is too long, or memory is short: try fewer records"));
  request_trial_free(w.requests);
  request_shown_free(w.showing);
  buf_fini(&w.request);
  return ok;
}
