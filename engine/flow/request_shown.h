// request_shown.h - requests as they would go out, with stars for their secrets.
//
// Made by what makes a courier's requests, but for what HTTP itself needs: Host, Accept, Content-Length. The
// body is shown as it is before gzip.
#pragma once
#include "base/slice.h"
#include "script/sink.h"

struct request_shown;
enum { REQUEST_SHOWN_HEADERS = SINK_HEADER_LINES + 8 };

struct shown { // borrowed until the next one
  struct slice method, url, body;
  struct shown_header {
    struct slice name, value;
  } headers[REQUEST_SHOWN_HEADERS];
  size_t header_count;
};

struct request_shown *request_shown_new(struct sink *sink, const json_t *settings,
                                        struct err *err); // checked settings
void request_shown_free(struct request_shown *showing);   // takes NULL
// `body`: of the request, before gzip. False with err: it could not be sent.
bool request_shown_make(struct request_shown *showing, const struct sink_batch *batch,
                        const struct sink_request *request, struct slice body, struct shown *out,
                        struct err *err);
