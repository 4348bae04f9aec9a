// spec_coverage.h - which lines of the scripts under test ran, and which could have.
//
// A line can run when LuaJIT's bytecode of the source has an instruction for it; the `end` of a function
// counts for nothing.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct lua_state;
struct sink_binding;
struct spec_coverage;

enum spec_line { SPEC_LINE_EMPTY, SPEC_LINE_NEVER, SPEC_LINE_RAN };

struct spec_coverage *spec_coverage_new(void);           // NULL: out of memory
void spec_coverage_free(struct spec_coverage *coverage); // takes NULL; after the states that it watches
// From here on the lines that run in this state are noted for `file`. Once a file, its source is run once more,
// in a state of its own, for the lines that run at load: that they run twice changes nothing, for a script can
// reach nothing outside its state, and what it logs there is dropped. False with err: out of memory, or the
// source does not run.
bool spec_coverage_watch(struct spec_coverage *coverage, const char *file, struct slice source,
                         struct lua_state *state, struct err *err);
// The same for a sink's hooks; to be called before each of them, since a worn state makes room for another.
bool spec_coverage_watch_sink(struct spec_coverage *coverage, struct sink_binding *binding, struct err *err);

struct spec_covered {
  const char *file;
  const uint8_t *lines; // enum spec_line; lines[0] is line 1
  uint32_t count;
};
uint32_t spec_coverage_count(const struct spec_coverage *coverage);
struct spec_covered spec_coverage_at(const struct spec_coverage *coverage, uint32_t i);
