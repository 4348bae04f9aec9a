// sink_standard.h - settings that most destinations share: a sink names a group of them, the engine applies
// it to each request.
//
// Among a sink's settings a word stands for its group:
//   "headers"    further headers, in place of the sink's own of that name
//   "auth"       none, basic or bearer; username, password, token
//   "signing"    Standard Webhooks (https://www.standardwebhooks.com): signing_secret,
//   signing_secret_previous "timeout_s"  for the whole request "tls"        ca, client_certificate,
//   client_key: file names
#pragma once
#include "script/sink.h"

size_t sink_standard_count(const char *word); // settings in the group; 0: there is no such group
// Writes so many settings, their defaults new references, and sets the group's bit in *groups. False: out of
// memory.
bool sink_standard_declare(const char *word, struct sink_setting *out, unsigned *groups);

enum { SINK_STANDARD_TEXTS = 7 };

// One stream's, read once when its settings are bound.
struct sink_standard {
  char *texts;                             // all of them, each with a NUL behind it
  const char *values[SINK_STANDARD_TEXTS]; // in `texts`; NULL: not set
  const char *headers; // in `texts`: header_count lines "name: value", one behind the other
  uint32_t header_count;
  uint32_t timeout_ms; // 0: not set
  bool webhook;
};

// What one setting's own rule can't see: secrets that can't sign, and settings that contradict each other.
// False with err "setting NAME: ...".
bool sink_standard_check(unsigned groups, const json_t *settings, struct err *err);
// Whether the files that `changed` names among them can be read and hold what they should. False with err
// "setting NAME: ...".
bool sink_standard_check_files(unsigned groups, const json_t *settings, const json_t *changed,
                               struct err *err);
// From checked settings. False: out of memory.
bool sink_standard_read(struct sink_standard *standard, unsigned groups, const json_t *settings,
                        struct err *err);
void sink_standard_fini(struct sink_standard *standard); // takes zeroed
// Into a request, where its hook has not said otherwise. False: with them it has too many headers.
bool sink_standard_apply(const struct sink_standard *standard, struct sink_request *request, struct err *err);
