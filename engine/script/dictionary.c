#include "script/dictionary.h"
#include "base/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum { NAME_BYTES = 64, EVENT_TYPES = 32, LIKE_BYTES = 4 };

const struct dictionary_field *dictionary_field(struct slice path) {
  for (size_t i = 0; i < dictionary_field_count; i++)
    if (slice_is(path, dictionary_fields[i].path)) return &dictionary_fields[i];
  return NULL;
}

unsigned dictionary_kinds(struct slice path) {
  unsigned kinds = 0;
  for (size_t i = 0; i < dictionary_field_count; i++)
    if (slice_is(path, dictionary_fields[i].path)) kinds |= dictionary_fields[i].kinds;
  return kinds;
}

bool dictionary_in_event(struct slice path, uint16_t event_type) {
  const struct dictionary_field *field = dictionary_field(path);
  if (!field || !field->event_types) return true;
  return event_type < 32 && (field->event_types >> event_type & 1);
}

// What is left of the row's path below `above`, a single step; NULL: it is not right below.
static const char *step_below(const struct dictionary_field *field, struct slice above) {
  const char *rest = field->path;
  if (above.len) {
    if (strncmp(rest, above.at, above.len) != 0) return NULL;
    rest += above.len;
    if (*rest == '.')
      rest++;
    else if (*rest != '[')
      return NULL;
  }
  size_t step = strcspn(rest, *rest == '[' ? "." : ".[");
  return step && !rest[step] ? rest : NULL;
}

size_t dictionary_children(struct slice path, const struct dictionary_field **out, size_t room) {
  size_t count = 0;
  for (size_t i = 0; i < dictionary_field_count && count < room; i++)
    if (step_below(&dictionary_fields[i], path)) out[count++] = &dictionary_fields[i];
  return count;
}

// ---- the nearest path ----

// The longest beginning of the path that is known, at least a step shorter than the path.
static struct slice known_beginning(struct slice path) {
  for (size_t len = path.len; len-- > 0;)
    if ((path.at[len] == '.' || path.at[len] == '[') && dictionary_field(slice_make(path.at, len)))
      return slice_make(path.at, len);
  return slice_make(path.at, 0);
}

// A slip in one step: what follows it is kept if that is known. The path ends with a NUL.
static bool slip_in_step(struct slice path, unsigned kinds, char *out) {
  const char *words[DICTIONARY_FIELDS];
  char wrong[NAME_BYTES];
  size_t count = 0;
  struct slice above = known_beginning(path);
  size_t begin = above.len + (above.len && path.at[above.len] == '.');
  size_t len = strcspn(path.at + begin, ".[");
  for (size_t i = 0; i < dictionary_field_count; i++)
    if ((dictionary_fields[i].kinds & kinds) && (words[count] = step_below(&dictionary_fields[i], above)))
      count++;
  words[count] = NULL;
  snprintf(wrong, sizeof wrong, "%.*s", (int)len, path.at + begin);
  const char *near = suggest(wrong, words);
  if (!near) return false;
  int whole = snprintf(out, DICTIONARY_PATH_BYTES, "%.*s%s%.*s", (int)begin, path.at, near,
                       (int)(path.len - begin - len), path.at + begin + len);
  if (whole >= DICTIONARY_PATH_BYTES || !dictionary_field(slice_of(out)))
    snprintf(out, DICTIONARY_PATH_BYTES, "%.*s%s", (int)begin, path.at, near);
  return true;
}

// The beginning was left out: "total" for "volume.total".
static bool left_out_beginning(struct slice path, unsigned kinds, char *out) {
  for (size_t i = 0; i < dictionary_field_count; i++) {
    struct slice known = slice_of(dictionary_fields[i].path);
    if (!(dictionary_fields[i].kinds & kinds) || known.len <= path.len) continue;
    size_t begin = known.len - path.len;
    if (known.at[begin - 1] != '.' || memcmp(known.at + begin, path.at, path.len) != 0) continue;
    snprintf(out, DICTIONARY_PATH_BYTES, "%s", known.at);
    return true;
  }
  return false;
}

static bool slip_in_whole(struct slice path, unsigned kinds, char *out) {
  const char *words[DICTIONARY_FIELDS];
  char wrong[DICTIONARY_PATH_BYTES];
  size_t count = 0;
  for (size_t i = 0; i < dictionary_field_count; i++)
    if (dictionary_fields[i].kinds & kinds) words[count++] = dictionary_fields[i].path;
  words[count] = NULL;
  snprintf(wrong, sizeof wrong, "%.*s", (int)path.len, path.at);
  const char *near = suggest(wrong, words);
  if (near) snprintf(out, DICTIONARY_PATH_BYTES, "%s", near);
  return near != NULL;
}

const char *dictionary_suggest(struct slice path, unsigned kinds, char out[DICTIONARY_PATH_BYTES]) {
  char copy[DICTIONARY_PATH_BYTES]; // ended by NUL
  if (!path.len || path.len >= sizeof copy) return NULL;
  snprintf(copy, sizeof copy, "%.*s", (int)path.len, path.at);
  path = slice_of(copy);
  bool found = path.len && (slip_in_step(path, kinds, out) || left_out_beginning(path, kinds, out) ||
                            slip_in_whole(path, kinds, out));
  return found ? out : NULL;
}

// ---- event types ----

const struct dictionary_entry *dictionary_event(uint16_t id) {
  for (const struct dictionary_entry *e = dictionary_event_types; e->name; e++)
    if (e->id == id) return e;
  return NULL;
}

const struct dictionary_entry *dictionary_event_named(const char *name) {
  for (const struct dictionary_entry *e = dictionary_event_types; e->name; e++)
    if (strcasecmp(e->name, name) == 0) return e;
  return NULL;
}

// Words of one text that begin like one of the other: "PDP Context created" has three of "Create PDP
// Context".
static size_t like_words(const char *a, const char *b) {
  size_t count = 0;
  for (; *a; a += strspn(a, " ")) {
    size_t len = strcspn(a, " "), like = len < LIKE_BYTES ? len : LIKE_BYTES;
    for (const char *at = b; *at; at += strspn(at, " ")) {
      size_t other = strcspn(at, " ");
      if (len && strncasecmp(a, at, like) == 0 && other >= like) {
        count++;
        break;
      }
      at += other;
    }
    a += len;
  }
  return count;
}

// The only name with most of the words, two or more.
static const char *by_words(const char *name) {
  const char *best = NULL;
  size_t most = 1;
  for (const struct dictionary_entry *e = dictionary_event_types; e->name; e++) {
    size_t count = like_words(name, e->name);
    if (count == most) best = NULL;
    if (count <= most) continue;
    most = count;
    best = e->name;
  }
  return best;
}

static void lower(const char *text, char out[NAME_BYTES]) {
  size_t i = 0;
  for (; text[i] && i + 1 < NAME_BYTES; i++)
    out[i] = (char)tolower((unsigned char)text[i]);
  out[i] = 0;
}

const char *dictionary_event_suggest(const char *name) {
  char lowered[EVENT_TYPES][NAME_BYTES], wrong[NAME_BYTES];
  const char *words[EVENT_TYPES + 1];
  size_t count = 0;
  if (strlen(name) >= NAME_BYTES) return NULL;
  for (; count < EVENT_TYPES && dictionary_event_types[count].name; count++) {
    lower(dictionary_event_types[count].name, lowered[count]);
    words[count] = lowered[count];
  }
  words[count] = NULL;
  lower(name, wrong);
  const char *near = suggest(wrong, words);
  for (size_t i = 0; near && i < count; i++)
    if (near == words[i]) return dictionary_event_types[i].name;
  return by_words(name);
}
