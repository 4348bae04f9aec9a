// request_print.h - requests as they would go out, printed with stars for their secrets.
//
// Made by what makes a courier's requests, but for what HTTP itself needs: Host, Accept, Content-Length. The body
// is shown as it is before gzip.
#pragma once
#include "script/sink.h"

struct request_print;
struct request_print *request_print_new(struct sink *sink, const json_t *settings, struct err *err); // checked settings
void request_print_free(struct request_print *printing);                                             // takes NULL
// On stdout. `body`: of the request, before gzip. False with err: it could not be sent.
bool request_print(struct request_print *printing, const struct sink_batch *batch,
                   const struct sink_request *request, struct slice body, struct err *err);
