// cmd_dead.c - `sluice dead`: the records that a stream gave up, with the reason, over the API.
#include "cmd/api_list.h"
#include "cmd/cmd.h"
#include "cmd/control.h"

static const char usage[] =
    "usage: sluice dead list STREAM\n"
    "Prints the dead letters of a stream, the oldest first: the record's id, and why it was given up.\n"
    "  --json      all of them as one object, with the whole records and the receiver's answers\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

static bool do_list(struct control *c, struct err *err) {
  static const struct api_list_column columns[] = {
      {"RECORD", "record.id"},   {"KIND", "kind"},         {"REASON", "reason"}, {"LINE", "line"},
      {"STATUS", "http_status"}, {"ATTEMPTS", "attempts"}, {"AT", "at"},         {0}};
  char path[CONTROL_PATH_BYTES];
  return control_stream_path(path, c->args[0], "/dead-letters", err) &&
         api_list_print(c->api, path, columns, c->json, err);
}

int cmd_dead(int argc, char **argv) {
  static const struct control_verb verbs[] = {
      {"list", {"STREAM"}, do_list}, {"redrive", {"STREAM"}, NULL}, {"drop", {"STREAM"}, NULL}, {0}};
  return control_main("dead", usage, verbs, argc, argv);
}
