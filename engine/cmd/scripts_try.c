// scripts_try.c - on a tape, for records may hold numbers that jansson can't.
#include "cmd/scripts_try.h"
#include "base/disk.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/api_call.h"
#include "cmd/args.h"
#include "cmd/control.h"
#include "cmd/send_input.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice scripts try FILE.lua [--last N | --records FILE] [--organisation ID | --stream ID] "
    "[--parameters JSON]\n"
    "Prints what the script would make of the engine's newest records (20 unless told), or of those in a "
    "file, one a\n"
    "line; nothing is sent. Dropped ones are counted on stderr by reason; failures, logs and alerts are "
    "shown there.\n"
    "  --last N           the newest N records, 1 to 100\n"
    "  --records FILE     records as `sluice send` takes them, 100 at most; - for stdin\n"
    "  --organisation ID  of this organisation's records\n"
    "  --stream ID        as this stream: its records, parameters and sink\n"
    "  --parameters JSON  ctx.parameters\n"
    "  --json             the engine's whole answer, with the requests that would be sent\n"
    "  --url URL          the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "Exit 1 when the script failed for a record. The token comes from SLUICE_TOKEN, else from "
    "data/operator.token.\n";

enum { BODY_BYTES = 32 << 20, REASONS = 16, REASON_BYTES = 128 };

struct asked {
  const char *file, *records, *stream, *parameters, *url;
  int64_t last, organisation; // 0: not given
  bool json;
};

struct counts {
  unsigned long kept, failed;
  struct reason {
    char text[REASON_BYTES];
    unsigned long count;
  } reasons[REASONS];
};

// ---- the request ----

static bool put_script(struct buf *body, const char *file, struct err *err) {
  size_t len;
  char *source = disk_read_file(file, LIMIT_SCRIPT_SOURCE_BYTES, &len, err);
  if (!source) return false;
  bool ok = buf_append_text(body, "{\"script\":") && json_write_string(body, slice_make(source, len));
  mem_free(source);
  return ok || err_set(err, "out of memory");
}

static bool check_record(struct json_tape *tape, const struct send_input *input, struct slice record,
                         struct err *err) {
  struct json_fault fault;
  return json_tape_parse(tape, record, &fault) ||
         err_set(err, "%s %ld: %s (byte %zu)", send_input_unit(input), input->number, fault.what, fault.at);
}

static bool put_all_records(struct buf *body, struct send_input *input, struct err *err) {
  struct slice record;
  struct json_tape tape;
  size_t count = 0;
  bool ok = buf_append_text(body, ",\"records\":[");
  json_tape_init(&tape);
  while (ok && send_input_next(input, &record, err)) {
    if (!record.len) continue;
    ok = (count < LIMIT_TRIAL_RECORDS || err_set(err, "more than %d records", LIMIT_TRIAL_RECORDS)) &&
         check_record(&tape, input, record, err) && (!count++ || buf_append_byte(body, ',')) &&
         buf_append(body, record.at, record.len);
  }
  json_tape_fini(&tape);
  return (ok && !err->text[0] && buf_append_text(body, "]")) || err_set(err, "they are too long together");
}

static bool put_records(struct buf *body, const char *name, struct err *err) {
  struct send_input input;
  FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
  if (!file) return err_set_errno(err, "%s", name);
  bool ok = send_input_begin(&input, file, err) && put_all_records(body, &input, err);
  send_input_end(&input);
  if (file != stdin) fclose(file);
  return ok || err_prepend(err, "%s", name);
}

static bool put_options(struct buf *body, const struct asked *a) {
  return (!a->last || buf_printf(body, ",\"last\":%lld", (long long)a->last)) &&
         (!a->organisation || buf_printf(body, ",\"organisation_id\":%lld", (long long)a->organisation)) &&
         (!a->stream ||
          (buf_append_text(body, ",\"stream_id\":") && json_write_string(body, slice_of(a->stream)))) &&
         (!a->parameters ||
          (buf_append_text(body, ",\"parameters\":") && buf_append_text(body, a->parameters))) &&
         buf_append_text(body, "}");
}

static bool put_body(struct buf *body, const struct asked *a, struct err *err) {
  return put_script(body, a->file, err) && (!a->records || put_records(body, a->records, err)) &&
         (put_options(body, a) || err_set(err, "out of memory"));
}

// ---- the answer ----

// A member's text unescaped, or NULL (mem_free).
static char *text_of(const struct json_tape *tape, uint32_t item, const char *path) {
  uint32_t value = json_path(tape, item, slice_of(path));
  if (!value || json_kind_of(tape, value) == TAPE_NULL) return NULL;
  struct slice inner = json_inner(tape, value);
  char *text = mem_must(mem_alloc(inner.len + 1));
  size_t len = inner.len;
  if (json_kind_of(tape, value) == TAPE_ESCAPED)
    len = json_unescape(inner, text);
  else
    memcpy(text, inner.at, len);
  text[len] = 0;
  return text;
}

static void count_reason(struct counts *counts, const char *text) {
  size_t i = 0;
  while (i + 1 < REASONS && counts->reasons[i].count && strcmp(counts->reasons[i].text, text) != 0)
    i++;
  struct reason *reason = &counts->reasons[i];
  if (!reason->count) snprintf(reason->text, sizeof reason->text, "%.120s", i + 1 < REASONS ? text : "other");
  reason->count++;
}

// "FILE:LINE: message (record ID)".
static void tell_error(const struct asked *a, const struct json_tape *tape, uint32_t item, const char *name,
                       const char *what) {
  char path[64];
  snprintf(path, sizeof path, "%s.message", name);
  char *message = text_of(tape, item, path), *id = text_of(tape, item, "record.id");
  snprintf(path, sizeof path, "%s.line", name);
  char *line = text_of(tape, item, path);
  fprintf(stderr, "%s%s%s: %s%s (record %s)\n", a->file, line ? ":" : "", line ? line : "", what,
          message ? message : "", id ? id : "?");
  mem_free(message);
  mem_free(line);
  mem_free(id);
}

static uint32_t member(const struct json_tape *tape, uint32_t item, const char *name) {
  uint32_t value = json_find(tape, item, slice_of(name));
  return value && json_kind_of(tape, value) != TAPE_NULL ? value : JSON_NONE;
}

// Each element of an array, as it is or unescaped, on a line.
static void print_lines(const struct json_tape *tape, uint32_t array, const char *front, FILE *to) {
  if (!array || json_kind_of(tape, array) != TAPE_ARRAY) return;
  for (uint32_t at = array + 1; at < tape->entries[array].next; at = tape->entries[at].next) {
    struct slice raw = *front ? json_inner(tape, at) : json_raw(tape, at);
    fprintf(to, "%s%.*s\n", front, (int)raw.len, raw.at);
  }
}

static void tell_item(const struct asked *a, struct counts *counts, const struct json_tape *tape,
                      uint32_t item) {
  char *reason = text_of(tape, item, "reason");
  uint32_t kept = member(tape, item, "kept");
  print_lines(tape, member(tape, item, "log"), "log: ", stderr);
  print_lines(tape, member(tape, item, "alerts"), "alert: ", stderr);
  if (member(tape, item, "alert_error")) tell_error(a, tape, item, "alert_error", "alert: ");
  if (member(tape, item, "error")) {
    tell_error(a, tape, item, "error", "");
    counts->failed++;
  } else if (kept && json_kind_of(tape, kept) == TAPE_TRUE) {
    print_lines(tape, member(tape, item, "records"), "", stdout);
    counts->kept++;
  } else {
    count_reason(counts, reason ? reason : "filter");
  }
  mem_free(reason);
}

static void tell_counts(const struct counts *counts) {
  fprintf(stderr, "%lu kept", counts->kept);
  for (size_t i = 0; i < REASONS && counts->reasons[i].count; i++)
    fprintf(stderr, ", %lu dropped (%s)", counts->reasons[i].count, counts->reasons[i].text);
  if (counts->failed) fprintf(stderr, ", %lu failed", counts->failed);
  fputc('\n', stderr);
}

static bool tell(const struct asked *a, struct slice answer, struct counts *counts, struct err *err) {
  struct json_tape tape;
  struct json_fault fault;
  json_tape_init(&tape);
  tape.max_bytes = answer.len;
  tape.max_depth = LIMIT_JSON_DEPTH + 4;
  uint32_t items = json_tape_parse(&tape, answer, &fault) ? member(&tape, 0, "items") : JSON_NONE;
  bool ok = items || err_set(err, "the answer is not a list; is this a sluice engine?");
  for (uint32_t item = items + 1; ok && item < tape.entries[items].next; item = tape.entries[item].next)
    tell_item(a, counts, &tape, item);
  json_tape_fini(&tape);
  if (ok) tell_counts(counts);
  return ok;
}

static bool run(const struct asked *a, struct counts *counts, struct err *err) {
  struct buf body;
  struct api_answer answer;
  buf_init(&body, BODY_BYTES);
  struct api_call *api = api_call_open(a->url, NULL, err);
  bool ok = api && put_body(&body, a, err);
  if (ok)
    ok = api_call_must(api, "POST", "/api/v1/scripts/try", "application/json", buf_slice(&body), &answer,
                       err) ||
         control_name_file("script", a->file, err);
  if (ok && a->json)
    printf("%.*s\n", (int)answer.body.len, answer.body.at);
  else if (ok)
    ok = tell(a, answer.body, counts, err);
  api_call_close(api);
  buf_fini(&body);
  return ok;
}

// ---- the command line ----

static bool take_option(struct asked *a, int option) {
  switch (option) {
  case 'l':
    return args_number("--last", optarg, 1, LIMIT_TRIAL_RECORDS, &a->last);
  case 'o':
    return args_number("--organisation", optarg, 1, INT64_MAX, &a->organisation);
  case 'r':
    a->records = optarg;
    break;
  case 's':
    a->stream = optarg;
    break;
  case 'p':
    a->parameters = optarg;
    break;
  case 'j':
    a->json = true;
    break;
  case 'u':
    a->url = optarg;
    break;
  default:
    return false;
  }
  return true;
}

int cmd_scripts_try(int argc, char **argv) {
  static const struct option options[] = {{"last", required_argument, NULL, 'l'},
                                          {"records", required_argument, NULL, 'r'},
                                          {"organisation", required_argument, NULL, 'o'},
                                          {"stream", required_argument, NULL, 's'},
                                          {"parameters", required_argument, NULL, 'p'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"url", required_argument, NULL, 'u'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  struct asked a = {0};
  struct counts counts = {0};
  struct err err = {0};
  optind = 1;
  for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    if (option == 'h') return fputs(usage, stdout), 0;
    if (!take_option(&a, option)) return args_wrong("scripts");
  }
  if (optind + 1 != argc) {
    if (optind == argc) fputs("scripts try: FILE.lua is missing\n", stderr);
    return optind == argc ? args_wrong("scripts") : args_unexpected("scripts", argv[optind + 1]);
  }
  if (a.last && a.records)
    return fputs("scripts try: give --last or --records, not both\n", stderr), args_wrong("scripts");
  a.file = argv[optind];
  if (run(&a, &counts, &err)) return counts.failed || fflush(stdout) != 0;
  fprintf(stderr, "scripts try: %s\n", err.text);
  return 1;
}
