#include "script/explain_miss.h"
#include "script/dictionary.h"

#include <stdio.h>

enum { CHILDREN = 8 };

// A path in two spellings: as a person reads it, with elements' numbers, and as the dictionary has it.
struct path {
  char shown[DICTIONARY_PATH_BYTES], known[DICTIONARY_PATH_BYTES];
};

static void add_key(struct path *path, struct slice key) {
  size_t shown = strlen(path->shown), known = strlen(path->known);
  const char *dot = shown ? "." : "";
  snprintf(path->shown + shown, sizeof path->shown - shown, "%s%.*s", dot, (int)key.len, key.at);
  snprintf(path->known + known, sizeof path->known - known, "%s%.*s", dot, (int)key.len, key.at);
}

static void add_element(struct path *path, uint32_t number) {
  size_t shown = strlen(path->shown), known = strlen(path->known);
  snprintf(path->shown + shown, sizeof path->shown - shown, "[%u]", number);
  snprintf(path->known + known, sizeof path->known - known, "[]");
}

// Adds the step from a container to the child that the entry is, or is in; returns the child.
static uint32_t add_step(struct path *path, const struct json_tape *tape, uint32_t whole, uint32_t entry) {
  bool is_list = json_kind_of(tape, whole) == TAPE_ARRAY;
  uint32_t child = whole + (is_list ? 1 : 2), number = 1;
  for (; tape->entries[child].next <= entry; number++)
    child = tape->entries[child].next + (is_list ? 0 : 1);
  if (is_list)
    add_element(path, number);
  else
    add_key(path, json_inner(tape, child - 1));
  return child;
}

static void read_path(const struct json_tape *tape, const struct record_miss *miss, struct path *path) {
  *path = (struct path){0};
  for (uint32_t at = 0; at != miss->object;)
    at = add_step(path, tape, at, miss->object);
  if (miss->number)
    add_element(path, miss->number);
  else
    add_key(path, slice_make(miss->key, miss->key_len));
}

static void append(char *text, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t room, const char *format, ...) {
  size_t used = strlen(text);
  va_list args;
  va_start(args, format);
  vsnprintf(text + used, room - used, format, args);
  va_end(args);
}

// The fields beside the one that does not exist, where they are few.
static void append_siblings(const char *path, char *text, size_t room) {
  const struct dictionary_field *fields[CHILDREN + 1];
  const char *dot = strrchr(path, '.');
  struct slice above = slice_make(path, dot ? (size_t)(dot - path) : 0);
  size_t count = above.len ? dictionary_children(above, fields, CHILDREN + 1) : 0;
  if (!count || count > CHILDREN) return;
  append(text, room, "; %.*s has", (int)above.len, above.at);
  for (size_t i = 0; i < count; i++)
    append(text, room, "%s%s", i ? ", " : " ", fields[i]->path + above.len + 1);
}

static void append_unknown(const char *path, unsigned kinds, char *text, size_t room) {
  char near[DICTIONARY_PATH_BYTES];
  append(text, room, "no record has such a field");
  if (dictionary_suggest(slice_of(path), kinds, near))
    append(text, room, "; did you mean '%s'?", near);
  else
    append_siblings(path, text, room);
}

static void append_event_type(uint16_t type, const char *path, char *text, size_t room) {
  const struct dictionary_entry *event = dictionary_event(type);
  append(text, room, "events of type %u%s%s%s have no %s", type, event ? " (" : "", event ? event->name : "",
         event ? ")" : "", path);
}

// Says why; true when the field is one that records can have, so that a default helps.
static bool append_reason(const struct explain_miss *asked, const struct path *path, char *text,
                          size_t room) {
  struct slice known = slice_of(path->known);
  enum record_kind kind = (enum record_kind)asked->header->kind;
  unsigned kinds = asked->any_shape ? 1u << kind : dictionary_kinds(known);
  if (asked->miss->value != JSON_NONE)
    append(text, room, "it is null in this record");
  else if (asked->miss->number)
    append(text, room, "the list ends before");
  else if (asked->any_shape)
    append(text, room, "this record has none");
  else if (!kinds)
    append_unknown(path->known, 1u << kind, text, room);
  else if (!(kinds >> kind & 1))
    append(text, room, "%s%s have no %s", record_kind_name(kind), kind == RECORD_USAGE ? " records" : "s",
           path->known);
  else if (kind == RECORD_EVENT && !dictionary_in_event(known, asked->header->event_type))
    append_event_type(asked->header->event_type, path->known, text, room);
  else
    append(text, room, "this record has none");
  return asked->miss->value != JSON_NONE || kinds;
}

// What `get` may give in the nil's place, as Lua writes it. NULL: nothing would do.
static const char *default_for(const struct explain_miss *asked, const struct path *path) {
  const struct dictionary_field *field = dictionary_field(slice_of(path->known));
  if (asked->deed == EXPLAIN_NUMBER) return ", 0";
  if (asked->deed == EXPLAIN_TEXT) return ", \"\"";
  if (asked->deed != EXPLAIN_INDEX) return NULL;
  if (asked->read_on.len) return asked->miss->by_get ? NULL : "";
  return field && strcmp(field->type, "string") == 0 ? ", \"\"" : NULL; // for a method of strings
}

static void append_remedy(const struct explain_miss *asked, const struct path *path, char *text,
                          size_t room) {
  const char *value = strchr(path->shown, '[') ? NULL : default_for(asked, path); // no path leads into lists
  if (value)
    append(text, room, "; %s get(rec, \"%s%.*s\"%s)", asked->miss->by_get ? "give it a default:" : "use",
           path->shown, (int)asked->read_on.len, asked->read_on.at, value);
  else
    append(text, room, "; check for it first");
}

void explain_miss(const struct explain_miss *asked, char *text, size_t room) {
  struct path path;
  read_path(asked->tape, asked->miss, &path);
  text[0] = 0;
  append(text, room, asked->miss->by_get ? "get(rec, \"%s\") is nil: " : "rec.%s is nil: ", path.shown);
  if (append_reason(asked, &path, text, room)) append_remedy(asked, &path, text, room);
}
