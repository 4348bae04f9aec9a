#include "flow/alert_record.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t LAST_MS = INT64_C(253402300799999); // the year 9999 ends

int64_t alert_record_id(const char *stream, uint64_t sequence, uint32_t number) {
  uint64_t h = hash_bytes(stream, strlen(stream), RECORD_ALERT);
  h = hash_u64(hash_u64(h ^ hash_u64(sequence)) + number) & ((UINT64_C(1) << 53) - 1);
  return h ? (int64_t)h : 1;
}

// `,"name":` and the value's own bytes, null when there is none or it is too long.
static bool put_raw(struct buf *b, const char *name, struct slice value, size_t most) {
  bool shown = value.len && value.len <= most;
  return buf_printf(b, ",\"%s\":", name) && (shown ? buf_append(b, value.at, value.len) : buf_append_text(b, "null"));
}

static bool put_text(struct buf *b, const char *name, const char *text) {
  return buf_printf(b, ",\"%s\":", name) && json_write_string(b, slice_of(text));
}

static struct slice raw_at(const struct json_tape *tape, const char *path) {
  uint32_t found = tape ? json_path(tape, 0, slice_of(path)) : JSON_NONE;
  return found == JSON_NONE ? slice_of("") : json_raw(tape, found);
}

// Whose it is can be told of a record that is gone, too, unless the stream has every organisation's.
static bool put_organisation(struct buf *b, const struct alert_source *source, const struct json_tape *tape) {
  char own[JSON_NUMBER_BYTES];
  struct slice id = raw_at(tape, "organisation.id");
  if (!id.len && source->definition->organisation != JOURNAL_ALL)
    id = slice_make(own, (size_t)snprintf(own, sizeof own, "%" PRId64, source->definition->organisation));
  if (!id.len) return buf_append_text(b, ",\"organisation\":null");
  return buf_append_text(b, ",\"organisation\":{\"id\":") && buf_append(b, id.at, id.len) &&
         put_raw(b, "name", raw_at(tape, "organisation.name"), LIMIT_ALERT_ENDPOINT_BYTES) && buf_append_byte(b, '}');
}

static bool put_endpoint(struct buf *b, const struct json_tape *tape) {
  struct slice whole = raw_at(tape, "endpoint"), id = raw_at(tape, "endpoint.id");
  if (whole.len <= LIMIT_ALERT_ENDPOINT_BYTES || !id.len || id.len > LIMIT_ALERT_ENDPOINT_BYTES)
    return put_raw(b, "endpoint", whole, LIMIT_ALERT_ENDPOINT_BYTES);
  return buf_append_text(b, ",\"endpoint\":{\"id\":") && buf_append(b, id.at, id.len) && buf_append_byte(b, '}');
}

static bool put_script(struct buf *b, const struct definition *d) {
  return put_text(b, "stream_id", d->id) && put_text(b, "script", d->script_name ? d->script_name : d->script_version);
}

static bool put_all(const struct alert_source *source, const struct script_alert *alert, uint32_t number,
                    const struct json_tape *tape, struct buf *b) {
  char iso[CLOCK_ISO_BYTES];
  bool known = alert->at_ms >= 0 && alert->at_ms <= LAST_MS; // a record may say anything of its time
  return buf_printf(b, "{\"id\":%" PRId64 ",\"kind\":\"alert\",\"alert\":true",
                    alert_record_id(source->definition->id, source->sequence, number)) &&
         put_text(b, "timestamp", clock_iso(known ? alert->at_ms : source->received_ms, iso)) && put_text(b, "key", alert->key) &&
         put_text(b, "title", alert->title) && put_text(b, "severity", script_severity_name(alert->severity)) &&
         put_organisation(b, source, tape) && put_script(b, source->definition) &&
         buf_printf(b, ",\"record\":{\"kind\":\"%s\",\"id\":%" PRId64 "}", record_kind_name(source->kind), source->id) &&
         put_endpoint(b, tape) && buf_append_byte(b, '}');
}

bool alert_record_write(const struct alert_source *source, const struct script_alert *alert, uint32_t number, struct json_tape *tape,
                        struct buf *out) {
  struct json_fault fault = {0};
  size_t before = out->len;
  bool there = source->record.len && json_tape_parse(tape, source->record, &fault);
  if (fault.kind == JSON_NO_MEMORY) return false;
  if (put_all(source, alert, number, there ? tape : NULL, out)) return true;
  out->len = before;
  return false;
}
