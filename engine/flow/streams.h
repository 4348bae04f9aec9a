// streams.h - all streams there are: definitions kept in the store, each at work in one of the couriers.
//
// For one thread, the API's. A change runs through its stages without blocking it: definition checked, script compiled in a
// throw-away worker and tried there on the stream's last records, stored, taken over by the courier, answered.
#pragma once
#include "base/err.h"
#include "flow/courier.h"
#include "flow/definition.h"
#include "flow/probe.h"
#include "flow/status.h"
#include <jansson.h>

struct streams;

struct streams_options {
  struct loop *loop; // the API's
  struct store *store;
  struct journal *journal;
  struct pool *pool;
  struct courier **couriers;
  unsigned courier_count;
  struct definition_world world;
};

struct streams *streams_new(const struct streams_options *options, struct err *err);
// Reads all definitions from the store and hands them to the couriers. A stream that can't be used any more (its sink is gone) is
// logged and left in the store.
bool streams_load(struct streams *streams, struct err *err);
void streams_free(struct streams *streams); // takes NULL

struct stream_entry {
  struct definition *definition;
  struct status *status;
  bool changing; // a change is under way; another is refused meanwhile
  struct streams *all;
  struct stream_alarm alarm; // its courier's word that its script fails
  bool alarmed;              // heard, and not dealt with yet
};

size_t streams_count(const struct streams *streams);
const struct stream_entry *streams_at(const struct streams *streams, size_t i); // in order of id
const struct stream_entry *streams_find(const struct streams *streams, const char *id);
size_t streams_behind(const struct streams *streams, const char *id); // index of the first with a greater id

enum streams_outcome {
  STREAMS_DONE,
  STREAMS_REFUSED, // the request is wrong: err says how
  STREAMS_BUSY,    // another change of this stream is under way
  STREAMS_FAILED,  // the store or memory failed
};

struct streams_answer {
  enum streams_outcome outcome;
  const struct stream_entry *entry; // as it is now; NULL after remove or failure
  const char *id;
  uint64_t undelivered; // remove
  struct err err;
};
typedef void (*streams_done)(const struct streams_answer *answer, void *arg); // on the loop; may be called before the call returns

void streams_create(struct streams *streams, const json_t *body, streams_done done, void *arg);
void streams_change(struct streams *streams, const struct stream_entry *entry, const json_t *body, streams_done done, void *arg);
void streams_set_active(struct streams *streams, const struct stream_entry *entry, bool active, streams_done done, void *arg);
void streams_remove(struct streams *streams, const struct stream_entry *entry, streams_done done, void *arg);
// The same stream with this source of its shared script, or (at NULL) with its sink as it is now. On failure it goes on as it was.
struct streams_renewal {
  struct slice source; // borrowed for the call
  bool untried;        // it was tried for other streams: that is enough
};
void streams_renew(struct streams *streams, const struct stream_entry *entry, const struct streams_renewal *renewal, streams_done done,
                   void *arg);

// Tries the stream's settings (probe.h).
void streams_probe(struct streams *streams, const struct stream_entry *entry, struct probe *probe);

// Who wants to know of streams that were made or changed by a request: what they were made of may have changed meanwhile.
typedef void (*streams_changed)(void *arg, const struct stream_entry *entry);
void streams_set_changed(struct streams *streams, streams_changed changed, void *arg);
