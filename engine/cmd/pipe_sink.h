// pipe_sink.h - the requests a sink would send for some records, printed instead of sent.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "journal/record.h"

enum { PIPE_SETTINGS = 64 };

struct pipe_settings { // "name=value" from the command line
  const char *pairs[PIPE_SETTINGS];
  size_t count;
};
bool pipe_settings_add(struct pipe_settings *settings, const char *pair); // false: no '=', or too many

struct pipe_sink;
// The sink `name` of a folder. Values are taken as JSON where the sink wants a number, a boolean or headers, else as text.
struct pipe_sink *pipe_sink_new(const char *folder, const char *name, const struct pipe_settings *settings, struct err *err);
void pipe_sink_free(struct pipe_sink *sink); // takes NULL
bool pipe_sink_accepts(const struct pipe_sink *sink, enum record_kind kind);
// One result. *dropped: why the sink does not take it ("sink": not its kind; "map": its map gave nothing), or NULL.
bool pipe_sink_add(struct pipe_sink *sink, const struct record_header *header, struct slice body, const char **dropped, struct err *err);
bool pipe_sink_flush(struct pipe_sink *sink, struct err *err); // what is left as a last batch
