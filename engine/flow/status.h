// status.h - how a stream is doing: written by its courier, read by the API and the metrics from other threads.
#pragma once
#include "base/buf.h"
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum stream_state {
  STREAM_PENDING,  // nothing delivered yet
  STREAM_HISTORY,
  STREAM_LIVE,
  STREAM_RETRYING, // the last attempt failed; it goes on by itself
  STREAM_PAUSED,   // the engine stopped it for a reason that someone must mend; activate resumes
  STREAM_ERROR,    // three days without success; activate resumes
  STREAM_INACTIVE, // its owner stopped it
  STREAM_STATES,
};

enum { STATUS_REASONS = 20, STATUS_REASON_BYTES = 65, STATUS_ERROR_BYTES = 500 };

enum status_count { COUNT_DELIVERED, COUNT_FILTERED, COUNT_DEAD, COUNT_EXPIRED, COUNT_RETRIES, STATUS_COUNTS };

struct status_reason {
  char text[STATUS_REASON_BYTES];
  uint64_t count;
};

struct status {
  atomic_uint refs;
  _Atomic(enum stream_state) state;
  _Atomic uint64_t counts[STATUS_COUNTS]; // records; retries: requests
  _Atomic uint64_t matched, unsettled_read; // records routed to it since the start and before; read and not settled
  _Atomic uint64_t read;                    // of the matched
  _Atomic uint64_t script_ns;               // spent in its script and its sink's map, since the start
  _Atomic uint64_t alerts, alert_failures;  // newly stored, and calls of the hook that failed, since the start
  _Atomic uint64_t position;
  _Atomic int64_t settled_ms, last_delivery_ms;
  _Atomic int64_t slowed_until_ms; // its script runs at low priority until then; 0: it does not
  atomic_int last_http_status;
  pthread_mutex_t lock; // for what follows
  char *last_error;    // NULL: none
  char *version_error; // why a newer version of its script or sink is not the one that runs; NULL: none. Shown when all else is well
  struct status_reason *reasons; // the first 20 reasons of a drop, then "other"
  uint8_t reason_count, reason_cap;
  bool remote_active;
};

struct status *status_new(void); // one reference; NULL when out of memory
void status_ref(struct status *status);
void status_unref(struct status *status); // takes NULL

const char *stream_state_name(enum stream_state state);
void status_set_state(struct status *status, enum stream_state state);
// Counts have one writer, the stream's courier: a plain addition that other threads may read at any time.
static inline void status_add(_Atomic uint64_t *count, uint64_t n) {
  atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}
void status_count(struct status *status, enum status_count which, uint64_t n);
// Walks the reasons that were counted: `for (size_t i = 0; (r = status_reason(status, i)); i++)`, with the lock held.
const struct status_reason *status_reason(const struct status *status, size_t i);
void status_count_filtered(struct status *status, struct slice reason, uint64_t n);
void status_set_error(struct status *status, const char *error); // cut to STATUS_ERROR_BYTES; NULL or empty: none
void status_set_version_error(struct status *status, const char *error); // the same
uint64_t status_lag(const struct status *status); // records matched and not settled
double status_lag_seconds(const struct status *status); // age of what was settled last while something waits; else 0
// The "status" member of a stream as the API shows it. New reference.
json_t *status_show(struct status *status, const char *script_version);

// The counts that outlive a restart, saved with the position.
bool status_save(const struct status *status, struct buf *out);
bool status_restore(struct status *status, struct slice saved);
