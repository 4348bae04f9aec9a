#include "base/json_scan.h"
#include "base/json_tape.h"

static __attribute__((noinline)) bool equal_unescaped(struct slice inner, struct slice key) {
  const char *p = inner.at, *end = p + inner.len;
  size_t done = 0;
  while (p < end) {
    char out[4] = {*p};
    size_t len = 1;
    if (*p == '\\')
      len = json_unescape_one(&p, end, out);
    else
      p++;
    if (len > key.len - done || memcmp(out, key.at + done, len) != 0) return false;
    done += len;
  }
  return done == key.len;
}

uint32_t json_find(const struct json_tape *t, uint32_t object, struct slice key) {
  const struct json_entry *entries = t->entries;
  if (entries[object].kind != TAPE_OBJECT) return JSON_NONE;
  uint32_t found = JSON_NONE, end = entries[object].next;
  for (uint32_t i = object + 1; i < end; i = entries[i + 1].next) {
    const struct json_entry *e = &entries[i];
    const char *at = t->text + e->at;
    bool same = false;
    if (e->len == key.len)
      same = e->kind == TAPE_STRING && slice_same_bytes(at, key.at, key.len);
    else if (e->len > key.len && e->kind == TAPE_ESCAPED)
      same = equal_unescaped(slice_make(at, e->len), key);
    if (same) found = i + 1;
  }
  return found;
}

uint32_t json_path(const struct json_tape *t, uint32_t from, struct slice path) {
  for (;;) {
    const char *dot = path.len ? memchr(path.at, '.', path.len) : NULL;
    if (!dot) return json_find(t, from, path);
    size_t len = (size_t)(dot - path.at);
    from = json_find(t, from, slice_make(path.at, len));
    if (from == JSON_NONE) return JSON_NONE;
    path = slice_make(dot + 1, path.len - len - 1);
  }
}

struct slice json_raw(const struct json_tape *t, uint32_t entry) {
  struct slice inner = json_inner(t, entry);
  enum json_kind kind = json_kind_of(t, entry);
  if (kind != TAPE_STRING && kind != TAPE_ESCAPED) return inner;
  return slice_make(inner.at - 1, inner.len + 2);
}

// Behind the string whose quote is at p, or NULL.
static const char *skip_string(const char *p, const char *end) {
  for (p++; (p = json_plain(p, end)) < end; p++) {
    if (*p == '"') return p + 1;
    if (*p == '\\' && ++p == end) break;
  }
  return NULL;
}

static const char *skip_scalar(const char *p, const char *end) {
  while (p < end && !json_is_space(*p) && !memchr(",:]}[{\"", *p, 7))
    p++;
  return p;
}

size_t json_skip(struct slice text) {
  if (!text.len) return 0;
  const char *end = text.at + text.len, *begin = json_space(text.at, end), *p = begin;
  size_t depth = 0;
  while (p < end) {
    if (*p == '"') {
      p = skip_string(p, end);
      if (!p) return 0;
    } else if (*p == '{' || *p == '[') {
      depth++;
      p++;
    } else if (*p == '}' || *p == ']') {
      if (!depth) return 0;
      depth--;
      p++;
    } else if (!depth) {
      p = skip_scalar(p, end);
    } else {
      p++;
    }
    if (!depth) return (size_t)(p - text.at) * (p > begin);
  }
  return 0;
}
