// metrics.c - GET /metrics: the engine's numbers in Prometheus' text format.
#include "api/app.h"
#include "base/buf.h"
#include "flow/alerts.h"
#include "flow/request_times.h"

#include <inttypes.h>
#include <stdio.h>

enum { METRICS_BYTES = 64 << 20 };

static bool head(struct buf *b, const char *name, const char *type, const char *help) {
  return buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static bool plain(struct buf *b, const char *name, const char *type, const char *help, double value) {
  return head(b, name, type, help) && buf_printf(b, "%s %.17g\n", name, value);
}

static bool write_ingest(struct buf *b, const struct app *app) {
  const struct ingest_numbers *n = &app->numbers;
  bool ok = head(b, "sluice_records_ingested_total", "counter", "Records newly stored.");
  for (int kind = RECORD_EVENT; kind <= RECORD_ALERT; kind++)
    ok = ok && buf_printf(b, "sluice_records_ingested_total{kind=\"%s\"} %" PRIu64 "\n", record_kind_name((enum record_kind)kind),
                          kind == RECORD_ALERT ? alerts_stored() : n->accepted[kind]);
  return ok &&
         plain(b, "sluice_records_duplicate_total", "counter", "Records that were stored before.", (double)n->duplicates) &&
         plain(b, "sluice_records_rejected_total", "counter", "Records refused by index.", (double)n->rejected);
}

static bool write_journal(struct buf *b, struct journal *journal) {
  struct journal_numbers n;
  journal_numbers(journal, &n);
  return plain(b, "sluice_journal_bytes", "gauge", "Bytes of the journal on disk.", (double)n.bytes_on_disk) &&
         plain(b, "sluice_journal_records", "gauge", "Records in the journal.", (double)n.records) &&
         plain(b, "sluice_journal_blocks_damaged_total", "counter", "Blocks skipped as damaged.", (double)n.blocks_damaged) &&
         head(b, "sluice_journal_sync_seconds", "summary", "Time of a sync.") &&
         buf_printf(b, "sluice_journal_sync_seconds_sum %.9f\nsluice_journal_sync_seconds_count %" PRIu64 "\n",
                    (double)n.sync_ns_total / 1e9, n.syncs) &&
         plain(b, "sluice_dedupe_window_seconds", "gauge", "How far back a duplicate is known.", (double)n.dedupe_window_ms / 1000);
}

static bool write_workers(struct buf *b, struct pool *pool) {
  struct pool_numbers n;
  pool_numbers(pool, &n);
  return plain(b, "sluice_script_kills_total", "counter", "Workers ended because a script was stuck.", (double)n.kills) &&
         plain(b, "sluice_worker_restarts_total", "counter", "Workers started after the first ones.", (double)n.restarts);
}

static const struct {
  const char *name, *help;
  enum status_count count;
} counters[] = {
    {"sluice_stream_delivered_total", "Records delivered.", COUNT_DELIVERED},
    {"sluice_stream_dead_total", "Records given up as dead letters.", COUNT_DEAD},
    {"sluice_stream_expired_total", "Records that retention removed before they were settled.", COUNT_EXPIRED},
    {"sluice_stream_retries_total", "Requests that failed and are tried again.", COUNT_RETRIES},
};

static bool write_counter(struct buf *b, const struct streams *all, size_t which) {
  bool ok = head(b, counters[which].name, "counter", counters[which].help);
  for (size_t i = 0; ok && i < streams_count(all); i++) {
    const struct stream_entry *entry = streams_at(all, i);
    ok = buf_printf(b, "%s{stream=\"%s\"} %" PRIu64 "\n", counters[which].name, entry->definition->id,
                    (uint64_t)entry->status->counts[counters[which].count]);
  }
  return ok;
}

// A label's value: the reason comes from a customer's script.
static bool write_label(struct buf *b, const char *text) {
  bool ok = true;
  for (; ok && *text; text++) {
    if (*text == '"' || *text == '\\') ok = buf_append_byte(b, '\\');
    ok = ok && buf_append_byte(b, (unsigned char)*text < 32 ? ' ' : *text);
  }
  return ok;
}

static bool write_filtered(struct buf *b, const struct streams *all) {
  bool ok = head(b, "sluice_stream_filtered_total", "counter", "Records dropped, by reason.");
  for (size_t i = 0; ok && i < streams_count(all); i++) {
    const struct stream_entry *entry = streams_at(all, i);
    struct status *s = entry->status;
    pthread_mutex_lock(&s->lock);
    const struct status_reason *reason;
    for (size_t r = 0; ok && (reason = status_reason(s, r)); r++)
      ok = buf_printf(b, "sluice_stream_filtered_total{stream=\"%s\",reason=\"", entry->definition->id) &&
           write_label(b, reason->text) && buf_printf(b, "\"} %" PRIu64 "\n", reason->count);
    pthread_mutex_unlock(&s->lock);
  }
  return ok;
}

// Since the start, as the time its script took.
static bool write_alerts(struct buf *b, const struct streams *all) {
  bool ok = head(b, "sluice_stream_alerts_total", "counter", "Alerts that the stream's script raised and the journal took.");
  for (size_t i = 0; ok && i < streams_count(all); i++)
    ok = buf_printf(b, "sluice_stream_alerts_total{stream=\"%s\"} %" PRIu64 "\n", streams_at(all, i)->definition->id,
                    (uint64_t)streams_at(all, i)->status->alerts);
  ok = ok && head(b, "sluice_stream_alert_failures_total", "counter", "Calls of the stream's alert hook that failed.");
  for (size_t i = 0; ok && i < streams_count(all); i++)
    ok = buf_printf(b, "sluice_stream_alert_failures_total{stream=\"%s\"} %" PRIu64 "\n", streams_at(all, i)->definition->id,
                    (uint64_t)streams_at(all, i)->status->alert_failures);
  return ok;
}

static bool write_script_seconds(struct buf *b, const struct streams *all) {
  bool ok = head(b, "sluice_script_seconds", "counter", "Time in the stream's script and its sink's map.");
  for (size_t i = 0; ok && i < streams_count(all); i++)
    ok = buf_printf(b, "sluice_script_seconds{stream=\"%s\"} %.6f\n", streams_at(all, i)->definition->id,
                    (double)streams_at(all, i)->status->script_ns / 1e9);
  return ok;
}

static bool write_versions(struct buf *b, const struct streams *all) {
  bool ok = head(b, "sluice_stream_script_version", "gauge", "1 for the version of its script that a stream runs.");
  for (size_t i = 0; ok && i < streams_count(all); i++) {
    const struct definition *d = streams_at(all, i)->definition;
    if (d->script_version[0]) ok = buf_printf(b, "sluice_stream_script_version{stream=\"%s\",version=\"%s\"} 1\n", d->id, d->script_version);
  }
  return ok;
}

static bool write_lag(struct buf *b, const struct streams *all) {
  bool ok = head(b, "sluice_stream_lag_records", "gauge", "Records matched and not settled.");
  for (size_t i = 0; ok && i < streams_count(all); i++)
    ok = buf_printf(b, "sluice_stream_lag_records{stream=\"%s\"} %" PRIu64 "\n", streams_at(all, i)->definition->id,
                    status_lag(streams_at(all, i)->status));
  ok = ok && head(b, "sluice_stream_lag_seconds", "gauge", "Age of what was settled last, while something waits.");
  for (size_t i = 0; ok && i < streams_count(all); i++)
    ok = buf_printf(b, "sluice_stream_lag_seconds{stream=\"%s\"} %.3f\n", streams_at(all, i)->definition->id,
                    status_lag_seconds(streams_at(all, i)->status));
  return ok;
}

static bool write_bucket(struct buf *b, const char *sink, const char *bound, uint64_t count) {
  return buf_append_text(b, "sluice_request_seconds_bucket{sink=\"") && write_label(b, sink) &&
         buf_printf(b, "\",le=\"%s\"} %" PRIu64 "\n", bound, count);
}

static bool write_times(struct buf *b, const struct request_times *t) {
  uint64_t count = 0;
  char bound[32];
  bool ok = true;
  for (size_t i = 0; ok && i <= REQUEST_BUCKETS; i++) {
    count += atomic_load_explicit(&t->buckets[i], memory_order_relaxed);
    if (i < REQUEST_BUCKETS) snprintf(bound, sizeof bound, "%g", request_bucket_us[i] / 1e6);
    ok = write_bucket(b, t->sink, i < REQUEST_BUCKETS ? bound : "+Inf", count);
  }
  return ok && buf_append_text(b, "sluice_request_seconds_sum{sink=\"") && write_label(b, t->sink) &&
         buf_printf(b, "\"} %.6f\nsluice_request_seconds_count{sink=\"", (double)atomic_load(&t->sum_us) / 1e6) &&
         write_label(b, t->sink) && buf_printf(b, "\"} %" PRIu64 "\n", count);
}

static bool write_requests(struct buf *b) {
  bool ok = head(b, "sluice_request_seconds", "histogram", "Time from sending a request to its answer.");
  for (const struct request_times *t = request_times_first(); ok && t; t = t->next) ok = write_times(b, t);
  return ok;
}

void metrics_get(struct route_call *call) {
  const struct streams *all = call->app->streams;
  struct buf text;
  buf_init(&text, METRICS_BYTES);
  bool ok = write_ingest(&text, call->app) && write_journal(&text, call->app->journal) && write_workers(&text, call->app->pool) &&
            plain(&text, "sluice_batch_bytes", "gauge", "Memory of all batches.", (double)atomic_load(&call->app->budget->used));
  for (size_t i = 0; ok && i < sizeof counters / sizeof *counters; i++) ok = write_counter(&text, all, i);
  ok = ok && write_filtered(&text, all) && write_alerts(&text, all) && write_script_seconds(&text, all) && write_versions(&text, all) &&
       write_lag(&text, all) && write_requests(&text);
  if (ok) http_answer(call->request, 200, "text/plain; version=0.0.4", buf_slice(&text));
  else http_answer_problem(call->request, 503, "out of memory: try again");
  buf_fini(&text);
}
