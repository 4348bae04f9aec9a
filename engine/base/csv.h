// csv.h - JSON objects as rows of a CSV file (RFC 4180), their members as columns "a.b.c".
//
// Decided where the RFC leaves room:
//   - What is null or missing is an empty cell. Numbers are written as they stand in the JSON text, digit by digit.
//   - The values in a list are joined by ";"; the members of objects in a list share a column: [{"a":1},{"a":2}] is 1;2 under "a".
//   - Of a key that is there twice the last value counts, as in the tape. U+0000 is written as U+FFFD: many readers end a text there.
//   - A text that is no object has one column, "value".
// Rows and the header come without a line's end.
#pragma once
#include "base/buf.h"
#include "base/json_tape.h"

struct csv; // the columns of one file, in order

// `grows`: a member without a column gets one, behind the others, as long as there are fewer than LIMIT_CSV_COLUMNS; else, and past
// that, it is left out. `guard`: a text that a spreadsheet would run (it begins with = + - @, tab or return) gets a ' before it.
struct csv *csv_new(bool grows, bool guard);      // NULL: out of memory
void csv_free(struct csv *csv);                   // takes NULL
bool csv_add(struct csv *csv, struct slice name); // false: out of memory, too many or too long; one that is there stays where it is
uint32_t csv_columns(const struct csv *csv);
bool csv_header(const struct csv *csv, struct buf *out); // false: out of memory or past out's end; nothing of it is kept
// A row with as many cells as there are columns now. The same.
bool csv_row(struct csv *csv, const struct json_tape *tape, struct buf *out);
