// message.h - what lies in the rings between a courier and a worker.
//
// Each message begins with its length, itself and padding included, a multiple of eight: so all of it lies
// aligned. A courier's messages are taken in order; a worker answers a job with one result a record, in
// order, and nothing else.
#pragma once
#include "base/limits.h"
#include "journal/record.h"
#include "script/script.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum message_kind { MESSAGE_SCRIPT = 1, MESSAGE_PROGRAM, MESSAGE_FORGET, MESSAGE_JOB };

struct message {
  uint32_t bytes;
  uint32_t kind;
};

struct message_script { // then the name, then the source
  struct message head;
  uint32_t id;
  uint32_t role; // enum script_role
  uint32_t name_bytes, source_bytes;
};

struct message_program { // then the context, then the sink's
  struct message head;
  uint32_t id, script_id, sink_id;
  uint32_t context_bytes, sink_context_bytes;
  uint32_t unused;
};

struct message_forget { // then ids of programs
  struct message head;
  uint32_t count, unused;
};

struct message_job { // then its records
  struct message head;
  uint64_t number;
  uint32_t count, unused;
};

struct message_record { // then `length` bytes, padded
  uint32_t program_id, unused;
  struct record_header header;
};

// Then the struct script_output, the struct script_alert, the outputs' bytes, the text, what it logged, why
// the alert hook failed.
struct message_result {
  uint32_t bytes;
  uint32_t index;    // of the record in its job
  uint64_t job;      // its number
  uint64_t spent_ns; // with the last of its program's records in a row: the time all of them took; else 0
  uint32_t line;
  uint32_t output_bytes;
  uint16_t output_count;
  uint16_t text_bytes, log_bytes;
  uint8_t outcome; // enum script_outcome
  uint8_t alert_count;
  uint32_t alert_line;
  uint16_t alert_error_bytes, unused;
};

enum {
  MESSAGE_RESULT_BYTES = 3 << 19, // the longest result: a record passed on whole, with 2,000 outputs
};
_Static_assert(MESSAGE_RESULT_BYTES >
                   (int)(LIMIT_RECORD_BYTES + SCRIPT_OUTPUTS * sizeof(struct script_output) +
                         LIMIT_SCRIPT_LOG_BYTES + 2048),
               "");
_Static_assert(MESSAGE_RESULT_BYTES <= (int)LIMIT_RING_BYTES, "");

static inline size_t message_pad(size_t bytes) {
  return (bytes + 7) & ~(size_t)7;
}

// Copies and returns where the next part goes.
static inline char *message_append(char *to, const void *from, size_t len) {
  if (len) memcpy(to, from, len);
  return to + len;
}

// What a record takes in a job.
static inline size_t message_record_bytes(size_t length) {
  return sizeof(struct message_record) + message_pad(length);
}
