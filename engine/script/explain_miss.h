// explain_miss.h - why a look-up in a record gave nil, and what to write instead.
#pragma once
#include "script/lua_state.h"

enum explain_deed { // what the script did with the nil
  EXPLAIN_INDEX,
  EXPLAIN_CALL,
  EXPLAIN_NUMBER, // took it for a number
  EXPLAIN_TEXT,
  EXPLAIN_OTHER,
};

struct explain_miss {
  const struct json_tape *tape;
  const struct record_header *header;
  const struct record_miss *miss;
  bool any_shape; // of the record: not of those that the dictionary describes
  enum explain_deed deed;
  struct slice read_on; // the steps that followed in the source, ".volume.total", or empty
};

// Writes such as `rec.cost is nil: events have no cost; use get(rec, "cost", 0)`, cut to fit.
void explain_miss(const struct explain_miss *asked, char *text, size_t room);
