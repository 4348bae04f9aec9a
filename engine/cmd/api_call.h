// api_call.h - calls of an engine's HTTP API from the shell's side: one connection kept alive, the token on
// every call.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>

struct api_call; // one engine

struct api_answer { // valid until the next call
  int status;
  struct slice body;
  long retry_after_s; // 0: the answer had none
};

// url NULL: SLUICE_URL, else http://127.0.0.1:8080. token NULL: SLUICE_TOKEN, else data/operator.token if it
// can be read, else none.
struct api_call *api_call_open(const char *url, const char *token, struct err *err);
void api_call_close(struct api_call *api); // takes NULL
// Sends one request and waits for the whole answer, whatever its status. False: there was none. content_type
// NULL: no body.
bool api_call_send(struct api_call *api, const char *method, const char *path, const char *content_type,
                   struct slice body, struct api_answer *answer, struct err *err);
// The same, and an answer that is not 2xx is an error in the engine's words.
bool api_call_must(struct api_call *api, const char *method, const char *path, const char *content_type,
                   struct slice body, struct api_answer *answer, struct err *err);
// The words of an answer that is an error: detail or title of its problem+json, else its status. Always
// returns false.
bool api_call_refused(const struct api_answer *answer, struct err *err);
