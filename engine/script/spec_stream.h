// spec_stream.h - a stream's script under test: loaded and run as in a worker, with the limits of production.
#pragma once
#include "script/script.h"
#include "script/spec_coverage.h"

struct spec_stream;

// `parameters`: a JSON object, or empty. coverage: NULL, or where the lines that run are noted. NULL with err
// "file:line: ...".
struct spec_stream *spec_stream_open(const char *file, struct slice parameters,
                                     struct spec_coverage *coverage, struct err *err);
void spec_stream_close(struct spec_stream *stream); // takes NULL
// Runs one record, given as JSON. False with err: it is no record. The result is the stream's until the next
// run.
bool spec_stream_run(struct spec_stream *stream, struct slice record, struct err *err);
const struct script_result *spec_stream_result(const struct spec_stream *stream);
// Whether the script failed for it, by an error or a broken limit; "file:line: message" then.
bool spec_stream_failed(const struct spec_stream *stream, char *text, size_t room);
