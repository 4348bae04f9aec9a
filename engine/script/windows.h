// windows.h - what one stream's scripts keep over record time: sliding counts and sums, values with a time to
// live, and the silence of alerts.
//
// Time is the record's: nothing here reads a clock, and the result depends on the saved state and the
// operations alone, to the last bit. Each kind, key and span is a cell of its own: the same key counted over
// "10m" and "24h" is two, and counts, sums and values never meet. sliding.h says what a total is when records
// come out of order and past 64 entries.
//
// A stream holds LIMIT_WINDOW_KEYS cells and LIMIT_WINDOW_STATE_BYTES; the least recently used goes first and
// is counted. Counting, adding and setting are uses; reading is one when the last was more than an eighth of
// LIMIT_WINDOW_KEYS uses ago, so that a key which is only read stays without being saved each time.
//
// Operations happen in a record: windows_begin, any number of them, then windows_commit, or windows_undo,
// after which all is as it was. An operation that fails has done nothing, or pushed out keys that were due.
// All of it belongs to one thread.
//
// Saving. windows_take appends the cells changed since the last one as pairs, in the order in which they must
// be applied:
//   varint bytes of the key, the key, varint bytes of the value, the value; a value of no bytes deletes the
//   key. key:    kind (1 byte), a count's or sum's span (varint, seconds), the script's key value:  1 (the
//   version), varint stamp of the last use, then
//     count, sum   varint entries; each: varint ms since the one before (the first: zigzag, since 1970),
//     number value        zigzag time it ends, type (1 byte), number, or varint bytes and the text, or one
//     byte silence      zigzag time it ends clock        varint keys pushed out so far: one pair with an
//     empty key; its stamp is the last one given
//   number: varint of twice the zigzag integer, or the byte 1 and 8 bytes of a double, little end first
// Varints are LEB128. Pairs that are read back are checked in full.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct windows;

enum {
  // A record pushes out no more than that. Its own keys need less: it is for a state saved under wider
  // limits.
  WINDOWS_PUSHED_OUT = 16 * LIMIT_WINDOW_CHANGES,
  WINDOWS_TAKE_BYTES = 768 << 10, // what windows_take appends after one record at most
  WINDOWS_KEY_BYTES = 16 + LIMIT_WINDOW_KEY_BYTES, // the longest key of a pair
};

// Saved: never renumber.
enum window_kind { WINDOW_CLOCK, WINDOW_COUNT, WINDOW_SUM, WINDOW_VALUE, WINDOW_SILENCE };
enum window_type { WINDOW_NIL, WINDOW_FALSE, WINDOW_TRUE, WINDOW_NUMBER, WINDOW_TEXT, WINDOW_DIGITS };

struct window_value {
  enum window_type type;
  double number;
  struct slice
      text; // of TEXT, and of DIGITS: an integer beyond 2^53. From windows_get: until the next operation
};

// `saved`: changes are kept for windows_take. NULL: out of memory.
struct windows *windows_new(bool saved);
void windows_free(struct windows *w); // takes NULL

void windows_begin(struct windows *w);
void windows_commit(struct windows *w);
void windows_undo(struct windows *w);

// Adds at `now_ms` and gives the total in (now - span, now]. `kind` is WINDOW_COUNT (value 1) or WINDOW_SUM.
bool windows_add(struct windows *w, enum window_kind kind, struct slice key, uint32_t span_s, int64_t now_ms,
                 double value, double *total, struct err *err);
bool windows_get(struct windows *w, struct slice key, int64_t now_ms, struct window_value *out,
                 struct err *err);
// WINDOW_NIL deletes. ttl_s 0: kept until it is pushed out.
bool windows_set(struct windows *w, struct slice key, int64_t now_ms, const struct window_value *value,
                 uint32_t ttl_s, struct err *err);
// Whether the key is silent at `now_ms`; if not, it is from then on for that long.
bool windows_silence(struct windows *w, struct slice key, int64_t now_ms, uint32_t for_s, bool *silent,
                     struct err *err);

size_t windows_keys(const struct windows *w);
size_t windows_bytes(const struct windows *w);
uint64_t windows_pushed_out(const struct windows *w);

// Between records. False: past out's maximum or out of memory; nothing is taken and out is as it was.
bool windows_take(struct windows *w, struct buf *out);
bool windows_changed(const struct windows *w); // whether there is something to take
// All of it, the least recently used first, as windows_take writes it.
bool windows_dump(struct windows *w, struct buf *out);
// Puts one pair in, between records and with nothing to take, in any order if each key comes once. False with
// err: not such a pair, more than twice what a stream may hold, or out of memory; nothing changed.
bool windows_load(struct windows *w, struct slice key, struct slice value, struct err *err);
// Takes the next pair from the front of `rest`. False: `rest` is empty, or, with err, broken.
bool windows_next_pair(struct slice *rest, struct slice *key, struct slice *value, struct err *err);
