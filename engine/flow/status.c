#include "flow/status.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int remote; // 1: the receiver's side works, 0: it does not, -1: as it was
} states[STREAM_STATES] = {
    [STREAM_PENDING] = {"pending", 1}, [STREAM_HISTORY] = {"history", 1}, [STREAM_LIVE] = {"live", 1},
    [STREAM_RETRYING] = {"retrying", 0}, [STREAM_PAUSED] = {"paused", 0}, [STREAM_ERROR] = {"error", 0},
    [STREAM_INACTIVE] = {"inactive", -1},
};

struct status *status_new(void) {
  struct status *s = mem_zero(1, sizeof *s);
  if (!s) return NULL;
  atomic_init(&s->refs, 1);
  pthread_mutex_init(&s->lock, NULL);
  s->remote_active = true;
  return s;
}

void status_ref(struct status *status) {
  atomic_fetch_add(&status->refs, 1);
}

void status_unref(struct status *status) {
  if (!status || atomic_fetch_sub(&status->refs, 1) != 1) return;
  pthread_mutex_destroy(&status->lock);
  mem_free(status->last_error);
  mem_free(status->version_error);
  mem_free(status->reasons);
  mem_free(status);
}

const char *stream_state_name(enum stream_state state) {
  return states[state].name;
}

void status_set_state(struct status *status, enum stream_state state) {
  atomic_store(&status->state, state);
  if (states[state].remote < 0) return;
  pthread_mutex_lock(&status->lock);
  status->remote_active = states[state].remote == 1;
  pthread_mutex_unlock(&status->lock);
}

void status_count(struct status *status, enum status_count which, uint64_t n) {
  status_add(&status->counts[which], n);
}

// JSON shows nothing else, and a text that was cut to its room may end in the middle of a character.
static void make_utf8(char *text) {
  const char *bad, *end = text + strlen(text);
  for (char *p = text; p < end;) {
    size_t len = (unsigned char)*p < 0x80 ? 1 : json_utf8_length(p, end, &bad);
    if (!len) *p = '?';
    p += len ? len : 1;
  }
}

const struct status_reason *status_reason(const struct status *status, size_t i) {
  return i < status->reason_count ? &status->reasons[i] : NULL;
}

static struct status_reason *find_reason(const struct status *status, const char *text) {
  for (size_t i = 0; i < status->reason_count; i++)
    if (strcmp(status->reasons[i].text, text) == 0) return &status->reasons[i];
  return NULL;
}

// Most streams have a reason or two, so the room for all is not there from the start. NULL: out of memory.
static struct status_reason *add_reason(struct status *status, const char *text) {
  if (status->reason_count == status->reason_cap) {
    size_t cap = status->reason_cap ? status->reason_cap * 2u : 1;
    if (cap > STATUS_REASONS + 1) cap = STATUS_REASONS + 1;
    struct status_reason *reasons = mem_grow(status->reasons, cap * sizeof *reasons);
    if (!reasons) return NULL;
    status->reasons = reasons;
    status->reason_cap = (uint8_t)cap;
  }
  struct status_reason *r = &status->reasons[status->reason_count++];
  *r = (struct status_reason){0};
  snprintf(r->text, sizeof r->text, "%s", text);
  return r;
}

void status_count_filtered(struct status *status, struct slice reason, uint64_t n) {
  char text[STATUS_REASON_BYTES];
  snprintf(text, sizeof text, "%.*s", (int)(reason.len < sizeof text ? reason.len : sizeof text - 1), reason.at);
  make_utf8(text);
  status_count(status, COUNT_FILTERED, n);
  pthread_mutex_lock(&status->lock);
  struct status_reason *r = find_reason(status, text);
  if (!r && status->reason_count < STATUS_REASONS) r = add_reason(status, text);
  else if (!r) r = status->reason_count > STATUS_REASONS ? &status->reasons[STATUS_REASONS] : add_reason(status, "other");
  if (r) r->count += n; // else the total above has it all the same
  pthread_mutex_unlock(&status->lock);
}

static void set_error(struct status *status, char **which, const char *error) {
  size_t len = error ? strnlen(error, STATUS_ERROR_BYTES - 1) : 0;
  char *copy = len ? mem_copy(error, len) : NULL; // out of memory: the state says that something is wrong
  if (copy) make_utf8(copy);
  pthread_mutex_lock(&status->lock);
  char *before = *which;
  *which = copy;
  pthread_mutex_unlock(&status->lock);
  mem_free(before);
}

void status_set_error(struct status *status, const char *error) {
  set_error(status, &status->last_error, error);
}

void status_set_version_error(struct status *status, const char *error) {
  set_error(status, &status->version_error, error);
}

uint64_t status_lag(const struct status *status) {
  uint64_t read = atomic_load(&status->read), matched = atomic_load(&status->matched);
  return (matched > read ? matched - read : 0) + atomic_load(&status->unsettled_read);
}

double status_lag_seconds(const struct status *status) {
  int64_t since = atomic_load(&status->settled_ms);
  return since && status_lag(status) ? (double)(clock_ms() - since) / 1000.0 : 0.0;
}

static json_t *time_or_null(int64_t ms) {
  char iso[CLOCK_ISO_BYTES];
  return ms ? json_string(clock_iso(ms, iso)) : json_null();
}

static json_t *show_reasons(const struct status *status) {
  json_t *reasons = json_object();
  const struct status_reason *r;
  for (size_t i = 0; (r = status_reason(status, i)); i++) json_object_set_new(reasons, r->text, json_integer((json_int_t)r->count));
  return reasons;
}

// A stream that the engine has stopped stays so when what was wrong is mended, until it is told to go on.
static json_t *show_error(const char *error, enum stream_state state) {
  bool stopped = state == STREAM_PAUSED || state == STREAM_ERROR;
  if (!stopped) return error ? json_string(error) : json_null();
  return json_sprintf("%s%sactivate the stream to go on", error ? error : "", error ? "; " : "");
}

json_t *status_show(struct status *status, const char *script_version) {
  uint64_t lag = status_lag(status);
  enum stream_state state = atomic_load(&status->state);
  int http = atomic_load(&status->last_http_status);
  pthread_mutex_lock(&status->lock);
  const char *error = status->last_error ? status->last_error : status->version_error;
  json_t *shown = json_pack(
      "{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:f}", "state", stream_state_name(state), "remote_status",
      status->remote_active ? "active" : "deactivated", "last_http_status", http ? json_integer(http) : json_null(),
      "last_delivery_at", time_or_null(atomic_load(&status->last_delivery_ms)), "last_error",
      show_error(error, state), "filtered_by", show_reasons(status), "lag_records",
      (json_int_t)lag, "lag_seconds", status_lag_seconds(status));
  pthread_mutex_unlock(&status->lock);
  static const char *const names[STATUS_COUNTS] = {"delivered", "filtered", "dead", "expired", "retries"};
  for (int i = 0; shown && i < STATUS_COUNTS; i++)
    json_object_set_new(shown, names[i], json_integer((json_int_t)atomic_load(&status->counts[i])));
  int64_t slowed = atomic_load(&status->slowed_until_ms);
  if (shown) json_object_set_new(shown, "slowed_until", time_or_null(slowed > clock_ms() ? slowed : 0));
  if (shown) json_object_set_new(shown, "script_version", script_version ? json_string(script_version) : json_null());
  return shown;
}

bool status_save(const struct status *status, struct buf *out) {
  for (int i = 0; i < STATUS_COUNTS; i++) {
    uint64_t n = atomic_load_explicit(&status->counts[i], memory_order_relaxed);
    if (!buf_append(out, &n, sizeof n)) return false;
  }
  int64_t at = atomic_load(&status->last_delivery_ms);
  return buf_append(out, &at, sizeof at);
}

bool status_restore(struct status *status, struct slice saved) {
  int64_t numbers[STATUS_COUNTS + 1];
  if (saved.len < sizeof numbers) return false;
  memcpy(numbers, saved.at, sizeof numbers);
  for (int i = 0; i < STATUS_COUNTS; i++) atomic_store(&status->counts[i], (uint64_t)numbers[i]);
  atomic_store(&status->last_delivery_ms, numbers[STATUS_COUNTS]);
  return true;
}
