// spec_record.h - a record of a spec or a golden case, read as ingest would read it.
#pragma once
#include "base/json_tape.h"
#include "journal/record.h"

// Parses the text and reads its header. A record of kind alert, which the engine makes itself, is known by
// its `kind`. False: it would be rejected, and err says why.
bool spec_record_read(struct json_tape *tape, struct slice text, struct record_header *out, struct err *err);
