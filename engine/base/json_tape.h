// json_tape.h - a JSON text (RFC 8259) checked in one pass and laid out as a flat row of entries that point into it.
//
// Nothing is copied and no number is converted: an entry says where a value stands, so what nobody touches can be passed
// on byte for byte. Entries are in the order of the text; a container is followed by its content; `next` jumps behind it.
// In an object keys and values alternate: key, value (and what is in it), key, value ...
//
// Decided where the RFC leaves room, and tested in tests/unit/json_tape_test.c:
//   - The text must be valid UTF-8 (no overlong forms, no surrogates, nothing past U+10FFFF), without a byte order mark.
//   - "\u0000" and unpaired surrogate escapes are taken; unescaped, an unpaired surrogate reads as U+FFFD.
//   - Numbers of any length are taken and stay text. 2^64 is an integer that does not fit json_tape_integer; 1e400 reads as infinity.
//   - Duplicate keys are taken; a look-up finds the last, as JavaScript, Python and jansson do.
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_kind {
  TAPE_NULL,
  TAPE_FALSE,
  TAPE_TRUE,
  TAPE_INTEGER, // no '.', no exponent
  TAPE_REAL,
  TAPE_STRING,  // at/len is what stands between the quotes, and it needs no unescaping
  TAPE_ESCAPED, // the same, with at least one backslash in it
  TAPE_ARRAY,   // at/len include the brackets
  TAPE_OBJECT,
};

struct json_entry {
  uint32_t at, len; // bytes, from the beginning of the text
  uint32_t next;    // index of the entry behind this value and all in it
  uint32_t kind : 8;
  uint32_t count : 24; // array: elements; object: members; capped at 2^24 - 1
};

enum json_fault_kind { JSON_OK, JSON_BROKEN, JSON_TOO_LONG, JSON_TOO_DEEP, JSON_NO_MEMORY };

struct json_fault {
  enum json_fault_kind kind;
  size_t at;        // offset of the first byte that can't be right
  const char *what; // "expected ',' or '}'", static
};

struct json_tape {
  const char *text; // borrowed from the last parse
  struct json_entry *entries;
  uint32_t count, cap;
  // Of the last text, or 0: texts of one shape have the same keys and containers, entry by entry. Only scalars differ,
  // in kind, too. A number is given once in a process.
  uint64_t shape;
  struct json_shapes *shapes; // base/json_shape.h
  uint32_t rest;              // texts to parse before shapes are looked at
  uint32_t max_depth;         // 0: LIMIT_JSON_DEPTH
  size_t max_bytes;           // 0: LIMIT_RECORD_BYTES
};

enum { JSON_NONE = 0 }; // index of no entry: the root, which is never a member

void json_tape_init(struct json_tape *t); // the entries are kept from parse to parse
void json_tape_fini(struct json_tape *t);

// Checks that the text is one JSON value, white space around it allowed. On failure the fault says where and why.
bool json_tape_parse(struct json_tape *t, struct slice text, struct json_fault *fault);
// The same for the value at the beginning of the text (leading white space skipped); *used: bytes up to its end.
// Entries count their offsets from text.at.
bool json_tape_parse_first(struct json_tape *t, struct slice text, size_t *used, struct json_fault *fault);
// Bytes up to the end of the value at the beginning of the text by counting brackets and strings alone, to step over a value
// that is too long or too deep for a tape. 0: it has no end.
size_t json_skip(struct slice text);

// The value of a member by (unescaped) key, or by path ("detail.country.mcc"), or JSON_NONE. `from` may be any kind.
uint32_t json_find(const struct json_tape *t, uint32_t object, struct slice key);
uint32_t json_path(const struct json_tape *t, uint32_t from, struct slice path);

// The value's own bytes, quotes and brackets included. Borrowed from the text.
struct slice json_raw(const struct json_tape *t, uint32_t entry);
// What stands between a string's quotes, still escaped.
static inline struct slice json_inner(const struct json_tape *t, uint32_t entry) {
  return slice_make(t->text + t->entries[entry].at, t->entries[entry].len);
}
static inline enum json_kind json_kind_of(const struct json_tape *t, uint32_t entry) {
  return (enum json_kind)t->entries[entry].kind;
}
// The integer, exactly; false when it is no TAPE_INTEGER or beyond 64 bits signed. "-0" is 0.
bool json_tape_integer(const struct json_tape *t, uint32_t entry, int64_t *out);
// Any number as the nearest double.
double json_tape_real(const struct json_tape *t, uint32_t entry);
// Writes a string's unescaped bytes to out, which has room for entry.len bytes (unescaping never lengthens). Returns how many.
size_t json_unescape(struct slice inner, char *out);
