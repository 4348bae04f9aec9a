// batch.h - the results that go out in one request, framed as they come in.
//
// A batch that must give back its memory, or be made again by a newer script, turns hollow: it keeps its id, its range of
// sequences and its attempts, and waits for its records to be read again.
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "flow/budget.h"
#include "net/http_client.h"
#include "script/sink.h"
#include <stdint.h>

enum { BATCH_ID_BYTES = 96 };

struct batch_item { // one output of a record
  uint64_t ordinal;
  uint64_t sequence;
  int64_t id; // the record's
  uint32_t at, len;         // its body in bytes
  uint32_t key_at, key_len; // its key in bytes; len 0: none
  uint32_t number;          // of its record's outputs, from 0
  uint8_t kind;             // of the record
  uint8_t bucket;           // of its endpoint, for lane.c
  bool last;                // of its record's outputs: with it the record is settled
  bool gone;                // done with apart from the others: batch_shrink takes it out
};

struct batch {
  struct list link; // in its lane, oldest first
  struct budget *budget;
  enum sink_framing framing;
  struct buf bytes; // bodies with their framing between them; the end is put on by batch_seal
  struct batch_item *items;
  uint32_t count, cap;
  uint32_t body_bytes;       // of the bodies alone
  size_t charged;            // bytes taken from the budget
  uint64_t first, last;      // sequences of its first and last record, also while hollow
  uint32_t first_number;     // of its first record's outputs: those below went with an earlier batch
  uint32_t missing;          // hollow: records that have not been read again yet
  bool sealed, hollow;
  uint32_t attempt;          // requests made so far
  uint32_t failures;         // in a row
  uint32_t stuck;            // the last of them, in which nothing of it got through
  int64_t first_failure_ms;  // 0: none
  int64_t doubted_ms;        // its first failure after others of the stream had got through meanwhile; 0: none
  int64_t begun_ms;          // when its first record came
  int64_t received_ms;       // time of receipt of its newest record
  char id[BATCH_ID_BYTES];   // made at the first request: the webhook-id
  char note[256];            // what the sink's verdict left for its next request
  bool has_note;
};

struct batch_output { // what batch_add takes
  uint64_t ordinal, sequence;
  int64_t id, received_ms;
  struct slice body, key;
  uint32_t number;
  uint8_t kind, bucket;
  bool last;
};

struct batch *batch_new(struct budget *budget, enum sink_framing framing, size_t max_bytes); // NULL: out of memory
void batch_free(struct batch *batch); // takes NULL; not while linked
bool batch_add(struct batch *batch, const struct batch_output *output); // false: out of memory or past max_bytes
bool batch_seal(struct batch *batch); // puts the framing's end on; no batch_add after it. False: out of memory
struct slice batch_item_body(const struct batch *batch, uint32_t i);
struct slice batch_item_key(const struct batch *batch, uint32_t i);
// Gives the bodies back and waits for its records again: those that end in it. Returns how many they are; 0: there is nothing to wait
// for, and it is to be freed.
uint32_t batch_hollow(struct batch *batch);
// Items from <= i < to as a new batch (id made from its own range), for halving. NULL: out of memory.
struct batch *batch_part(const struct batch *batch, uint32_t from, uint32_t to);
// Takes out the items that are marked as gone; those that stay, at least one, are a batch under the same name, to be sealed anew.
void batch_shrink(struct batch *batch);
// The id from stream and sequence, or range; the same whenever the batch is made of the same records.
void batch_name(struct batch *batch, const char *stream_id);
// As the sink's hooks see it, now; valid while the batch is.
struct sink_batch batch_view(const struct batch *batch);
