// record.h - what the engine knows of a record without reading it again: whose it is, which kind, which id, which endpoint.
#pragma once
#include "base/err.h"
#include "base/json_tape.h"
#include <stdbool.h>
#include <stdint.h>

enum record_kind { RECORD_EVENT = 1, RECORD_USAGE = 2, RECORD_ALERT = 3 };
enum { RECORD_KINDS = 4 }; // for tables by kind; a mask has bit 1 << kind

struct record_header {
  uint64_t sequence;    // place in the journal, from 1, without gaps; given at append
  int64_t received_ms;  // time of receipt; given at append
  int64_t organisation; // organisation.id
  int64_t id;
  int64_t endpoint;     // the key of order: endpoint.id, or what stands for one that is 0 or no integer; 0: there is none
  uint32_t offset;      // of the record's bytes, in what the header came with
  uint32_t length;
  uint16_t event_type;  // event_type.id of an event (0 to 65,535), else 0
  uint8_t kind;         // enum record_kind
  uint8_t unused[5];
};

// Reads a checked record's header from its tape; sequence, times, offset and length are left alone. False with the reason in the
// words of the person who sent it: not an object, no integer id, no organisation.id, neither event nor usage record.
// event_type: an event; start_timestamp or volume without it: a usage record.
bool record_read_header(const struct json_tape *tape, struct record_header *out, struct err *err);
const char *record_kind_name(enum record_kind kind); // "event", "usage", "alert"
// The mask of a stream's type ("usage", "events", "usage_and_events", "alerts"); 0: no such type.
unsigned record_kinds_of_type(const char *type);
