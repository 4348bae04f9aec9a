// dictionary.h - the fields of records and the types of events: what they are called, what they mean, where
// they occur.
//
// From the operator's manual, chapters 3 and 4, with what only its samples show, and the alerts that Sluice
// itself makes. Declared once, as data: messages about scripts, `sluice check`, `match` by name and GET
// /api/v1/fields read it. A record may have fields that are not in it; they pass as they are.
#pragma once
#include "base/slice.h"
#include "journal/record.h"

struct dictionary_field {
  const char *path;     // "detail.volume.total"; "[]" stands for the elements of a list: "detail.mnc[].id"
  const char *type;     // "integer", "number", "string", "boolean", "timestamp", "object" or "list"
  const char *meaning;  // one line
  unsigned kinds;       // mask of record kinds
  unsigned event_types; // mask of the event types that have it; 0: all
};

// A path has two rows where events and usage records differ: `imsi`.
extern const struct dictionary_field dictionary_fields[]; // dictionary_fields.c
extern const size_t dictionary_field_count;
enum { DICTIONARY_FIELDS = 128, DICTIONARY_PATH_BYTES = 160 }; // at most, the NUL included

struct dictionary_entry {
  uint16_t id;
  const char *name;    // as the manual spells it; NULL ends the list
  const char *meaning; // NULL where the name says it
};
extern const struct dictionary_entry dictionary_event_types[]; // dictionary_events.c
extern const struct dictionary_entry dictionary_severities[];
extern const struct dictionary_entry dictionary_sources[];

// The first row with this path, or NULL.
const struct dictionary_field *dictionary_field(struct slice path);
// The kinds of records that have the path, all rows together; 0: none.
unsigned dictionary_kinds(struct slice path);
// Whether events of this type can have the path. True for a path that is not known.
bool dictionary_in_event(struct slice path, uint16_t event_type);
// Rows one step below the path (empty: at the top), at most `room`; returns how many.
size_t dictionary_children(struct slice path, const struct dictionary_field **out, size_t room);
// The known path that was meant, for records of these kinds, into `out`; NULL: none is near.
const char *dictionary_suggest(struct slice path, unsigned kinds, char out[DICTIONARY_PATH_BYTES]);

const struct dictionary_entry *dictionary_event(uint16_t id); // NULL: none
// By name in any case, or NULL; the nearest name for one that is not known, or NULL.
const struct dictionary_entry *dictionary_event_named(const char *name);
const char *dictionary_event_suggest(const char *name);
