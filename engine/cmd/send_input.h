// send_input.h - the records of a file to send: NDJSON line by line as it is read; an array, or objects over
// several lines, when it is no larger than a request may be.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "cmd/records_text.h"
#include <stdint.h>
#include <stdio.h>

struct send_input {
  FILE *file;
  char *line; // getline's
  size_t line_room;
  struct buf head; // what was read ahead to see what the file is
  size_t head_at;
  struct records_text text; // over head, when whole
  bool whole;               // records are values of one text, not lines
  long number;              // of the last record: its line, or its place in the text
  int64_t bytes;            // of the lines read so far
};

// Reads as far as it takes to know what the file is. False: it is nothing that can be sent.
bool send_input_begin(struct send_input *input, FILE *file, struct err *err);
void send_input_end(struct send_input *input); // the file stays open
// The next record or blank line, borrowed until the next call. False: the end, or err is set.
bool send_input_next(struct send_input *input, struct slice *record, struct err *err);
const char *send_input_unit(const struct send_input *input); // what `number` counts: "line" or "record"
