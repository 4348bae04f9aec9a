// record.c - one walk over a record's members for the few that the engine itself needs; records of a known
// shape have them where the last one had them.
#include "journal/record.h"
#include "base/hash.h"

enum member { ID, ORGANISATION, ENDPOINT, EVENT_TYPE, START_TIMESTAMP, VOLUME, MEMBERS };

static const struct slice names[MEMBERS] = {
    [ID] = {"id", 2},
    [ORGANISATION] = {"organisation", 12},
    [ENDPOINT] = {"endpoint", 8},
    [EVENT_TYPE] = {"event_type", 10},
    [START_TIMESTAMP] = {"start_timestamp", 15},
    [VOLUME] = {"volume", 6},
};

// The names differ in length, so one comparison decides.
static enum member member_of(struct slice key) {
  static const uint8_t by_length[16] = {[2] = ID + 1,          [12] = ORGANISATION + 1,    [8] = ENDPOINT + 1,
                                        [10] = EVENT_TYPE + 1, [15] = START_TIMESTAMP + 1, [6] = VOLUME + 1};
  if (key.len >= sizeof by_length || !by_length[key.len]) return MEMBERS;
  enum member m = (enum member)(by_length[key.len] - 1);
  return memcmp(key.at, names[m].at, key.len) == 0 ? m : MEMBERS;
}

enum { SHAPES = 16 }; // a feed has a handful

// Where the members stand on the tape, or JSON_NONE.
struct members {
  uint64_t shape; // of the tape
  uint32_t found[MEMBERS];
  uint32_t id_in[MEMBERS]; // the member "id" of each
};

// Escaped keys are rare enough to be looked for one name at a time.
static void find_slowly(const struct json_tape *tape, uint32_t found[MEMBERS]) {
  for (int m = 0; m < MEMBERS; m++)
    found[m] = json_find(tape, 0, names[m]);
}

static void find_outer(const struct json_tape *tape, uint32_t found[MEMBERS]) {
  for (int m = 0; m < MEMBERS; m++)
    found[m] = JSON_NONE;
  uint32_t end = tape->entries[0].next;
  for (uint32_t key = 1; key < end; key = tape->entries[key + 1].next) {
    if (json_kind_of(tape, key) == TAPE_ESCAPED) {
      find_slowly(tape, found);
      return;
    }
    enum member m = member_of(json_inner(tape, key));
    if (m != MEMBERS) found[m] = key + 1;
  }
}

static void find_members(const struct json_tape *tape, struct members *out) {
  static const enum member with_id[] = {ORGANISATION, ENDPOINT, EVENT_TYPE};
  out->shape = tape->shape;
  find_outer(tape, out->found);
  for (size_t i = 0; i < sizeof with_id / sizeof *with_id; i++) {
    uint32_t outer = out->found[with_id[i]];
    out->id_in[with_id[i]] = outer == JSON_NONE ? JSON_NONE : json_find(tape, outer, names[ID]);
  }
}

// The members of the record on the tape, from memory if its shape is known. Borrowed until the thread's next
// call.
static const struct members *members_of_tape(const struct json_tape *tape) {
  static _Thread_local struct members known[SHAPES];
  struct members *m = &known[tape->shape % SHAPES];
  if (!tape->shape || m->shape != tape->shape) find_members(tape, m);
  return m;
}

static bool is_set(const struct json_tape *tape, uint32_t entry) {
  return entry != JSON_NONE && json_kind_of(tape, entry) != TAPE_NULL;
}

// The integer at `entry`, or 0.
static int64_t id_or_0(const struct json_tape *tape, uint32_t entry) {
  int64_t id;
  return entry != JSON_NONE && json_tape_integer(tape, entry, &id) ? id : 0;
}

// An endpoint's id as it is; where it is 0 or no integer, a number made of its bytes, for its records have an
// order, too.
static int64_t order_key(const struct json_tape *tape, uint32_t id) {
  if (!is_set(tape, id)) return 0;
  int64_t key = id_or_0(tape, id);
  struct slice raw = json_raw(tape, id);
  return key ? key : (int64_t)(hash_bytes(raw.at, raw.len, 0) | 1);
}

static bool read_kind(const struct json_tape *tape, const struct members *m, struct record_header *out,
                      struct err *err) {
  out->event_type = 0;
  if (is_set(tape, m->found[EVENT_TYPE])) {
    int64_t type = id_or_0(tape, m->id_in[EVENT_TYPE]);
    out->kind = RECORD_EVENT;
    if (type > 0 && type <= UINT16_MAX) out->event_type = (uint16_t)type;
    return true;
  }
  if (is_set(tape, m->found[START_TIMESTAMP]) || is_set(tape, m->found[VOLUME])) {
    out->kind = RECORD_USAGE;
    return true;
  }
  return err_set(err, "neither an event (event_type) nor a usage record (start_timestamp or volume)");
}

bool record_read_header(const struct json_tape *tape, struct record_header *out, struct err *err) {
  if (tape->count == 0 || json_kind_of(tape, 0) != TAPE_OBJECT)
    return err_set(err, "a record must be an object");
  const struct members *m = members_of_tape(tape);
  if (!is_set(tape, m->found[ID])) return err_set(err, "id is missing");
  if (!json_tape_integer(tape, m->found[ID], &out->id))
    return err_set(err, "id is not an integer of 64 bits");
  if (!is_set(tape, m->id_in[ORGANISATION])) return err_set(err, "organisation.id is missing");
  if (!json_tape_integer(tape, m->id_in[ORGANISATION], &out->organisation))
    return err_set(err, "organisation.id is not an integer of 64 bits");
  if (!read_kind(tape, m, out, err)) return false;
  out->endpoint = order_key(tape, m->id_in[ENDPOINT]);
  return true;
}

const char *record_kind_name(enum record_kind kind) {
  static const char *const kinds[RECORD_KINDS] = {"", "event", "usage", "alert"};
  return (unsigned)kind < RECORD_KINDS ? kinds[kind] : "";
}

unsigned record_kinds_of_type(const char *type) {
  if (strcmp(type, "usage") == 0) return 1u << RECORD_USAGE;
  if (strcmp(type, "events") == 0) return 1u << RECORD_EVENT;
  if (strcmp(type, "usage_and_events") == 0) return 1u << RECORD_USAGE | 1u << RECORD_EVENT;
  if (strcmp(type, "alerts") == 0) return 1u << RECORD_ALERT;
  return 0;
}
