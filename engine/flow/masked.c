#include "flow/masked.h"
#include "base/mem.h"

#include <ctype.h>

enum { SAME = 8 }; // bytes in a row that are the same part two differences; fewer may be the same by chance

// ---- other secrets ----

static char exchange_char(char c) {
  if (isdigit((unsigned char)c)) return (char)('0' + (c - '0' + 5) % 10);
  if (islower((unsigned char)c)) return (char)('a' + (c - 'a' + 13) % 26);
  if (isupper((unsigned char)c)) return (char)('A' + (c - 'A' + 13) % 26);
  return c;
}

// Letters stay letters and digits digits, for a sink that looks at the form. A URL keeps its scheme.
static json_t *exchange_text(const char *secret) {
  char *other = mem_copy(secret, strlen(secret));
  if (!other) return NULL;
  char *colon = strstr(other, "://");
  for (char *at = colon ? colon : other; *at; at++)
    *at = exchange_char(*at);
  if (strcmp(other, secret) == 0) memset(other, 'x', strlen(other));
  json_t *text = json_string(other);
  mem_free(other);
  return text;
}

// A setting is a text, or an object of texts.
static json_t *exchange_value(const json_t *value) {
  const char *name;
  json_t *member;
  if (json_is_string(value)) return exchange_text(json_string_value(value));
  json_t *others = json_deep_copy(value);
  json_object_foreach((json_t *)(uintptr_t)value, name, member) {
    if (others && json_object_set_new(others, name, exchange_value(member)) == 0) continue;
    json_decref(others);
    return NULL;
  }
  return others;
}

bool masked_settings(const struct sink *sink, const json_t *settings, json_t **others) {
  json_t *copy = json_deep_copy(settings);
  bool any = false, ok = copy;
  for (size_t i = 0; ok && i < sink->setting_count; i++) {
    const char *name = sink->settings[i].name;
    const json_t *value = sink->settings[i].secret ? json_object_get(settings, name) : NULL;
    if (!value) continue;
    any = true;
    ok = json_object_set_new(copy, name, exchange_value(value)) == 0;
  }
  *others = ok && any ? copy : NULL;
  if (!*others) json_decref(copy);
  return ok;
}

// ---- what differs ----

static const char stars[] = "********";

// A part of base64, hex or an escaped text can be the same by chance: a word is shown whole or not at all.
static bool in_word(char c) {
  return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || (c && strchr("+_-%", c));
}

static size_t same_front(struct slice a, struct slice b, size_t from) {
  while (from < a.len && from < b.len && a.at[from] == b.at[from])
    from++;
  return from;
}

// Where the difference at `from` ends, in texts of one length.
static size_t end_of_run(struct slice text, struct slice other, size_t from) {
  size_t to = from;
  for (size_t at = from; at < text.len && at - to < SAME; at++)
    if (text.at[at] != other.at[at]) to = at + 1;
  return to;
}

// The end of all that differs, in texts of two lengths.
static size_t end_of_all(struct slice text, struct slice other, size_t from) {
  size_t same = 0;
  while (from + same < text.len && from + same < other.len &&
         text.at[text.len - 1 - same] == other.at[other.len - 1 - same])
    same++;
  return text.len - same;
}

// Up to the words that differ, and stars for these. *at: what has been written of the text.
static bool write_part(struct slice text, size_t *at, size_t from, size_t to, struct buf *out) {
  while (from > *at && in_word(text.at[from - 1]))
    from--;
  while (to < text.len && in_word(text.at[to]))
    to++;
  bool ok = buf_append(out, text.at + *at, from - *at) && buf_append_text(out, stars);
  *at = to;
  return ok;
}

bool masked_write(struct slice text, struct slice other, struct buf *out) {
  size_t at = 0, from = same_front(text, other, 0);
  bool ok = true;
  if (!text.len) return true;
  if (text.len != other.len && from < text.len) {
    ok = write_part(text, &at, from, end_of_all(text, other, from), out);
    from = text.len;
  }
  while (ok && from < text.len) {
    ok = write_part(text, &at, from, end_of_run(text, other, from), out);
    from = same_front(text, other, at);
  }
  return ok && buf_append(out, text.at + at, text.len - at);
}
