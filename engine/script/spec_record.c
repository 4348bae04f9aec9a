#include "script/spec_record.h"
#include "base/clock.h"

static bool is_alert(const struct json_tape *tape) {
  if (json_kind_of(tape, 0) != TAPE_OBJECT) return false;
  uint32_t kind = json_find(tape, 0, slice_of("kind"));
  return kind != JSON_NONE && json_kind_of(tape, kind) == TAPE_STRING &&
         slice_is(json_inner(tape, kind), "alert");
}

bool spec_record_read(struct json_tape *tape, struct slice text, struct record_header *out, struct err *err) {
  struct json_fault fault;
  struct err why = {{0}};
  *out = (struct record_header){.received_ms = clock_ms(), .sequence = 1};
  if (!json_tape_parse(tape, text, &fault))
    return err_set(err, "the record is no JSON: %s (byte %zu)", fault.what ? fault.what : "out of memory",
                   fault.at);
  if (is_alert(tape)) {
    out->kind = RECORD_ALERT;
    return true;
  }
  return record_read_header(tape, out, &why) ||
         err_set(err, "the engine would reject this record: %s", why.text);
}
