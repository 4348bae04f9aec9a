// alert_record.h - an alert as the record it becomes: its id and its JSON.
#pragma once
#include "base/buf.h"
#include "base/json_tape.h"
#include "flow/definition.h"
#include "script/script.h"

struct alert_source { // what raised it
  const struct definition *definition;
  uint64_t sequence; // of the record in the journal
  int64_t id;        // the record's own
  enum record_kind kind;
  struct slice record; // its bytes; len 0: no longer kept
  int64_t received_ms;
};

// The same whenever the alert is raised again, so that the journal knows it as a duplicate: a hash of stream, sequence and number
// (of the record's alerts, from 0). Positive and below 2^53, so that a reader that has nothing but doubles reads it right; at a
// million alerts of one organisation in a week two are the same once in 18,000 weeks. Must never change.
int64_t alert_record_id(const char *stream, uint64_t sequence, uint32_t number);

// Writes {"id","kind":"alert","alert":true,"timestamp","key","title","severity","organisation":{"id","name"},"stream_id","script",
// "record":{"kind","id"},"endpoint"}. Organisation and endpoint stand as the record has them, null where it has none; an endpoint
// longer than LIMIT_ALERT_ENDPOINT_BYTES is shown by its id alone. "script" is a shared script's name, else the version of the
// stream's own. False: out of memory, or past out's maximum. `tape` is for reading the record.
bool alert_record_write(const struct alert_source *source, const struct script_alert *alert, uint32_t number, struct json_tape *tape,
                        struct buf *out);
