// cmd_send.c - `sluice send`: posts the records of a file to an engine, batch by batch, and counts what
// became of them.
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/api_call.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/send_input.h"
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: sluice send FILE|- [--url URL] [--batch N] [--wait SECONDS]\n"
    "Posts records (NDJSON, one a line, of any length; or an array or objects up to 16 MB)\n"
    "to an engine and prints how many it took.\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "  --batch N   records a request, 1 to 10000 (default 500)\n"
    "  --wait S    gives up when the engine took nothing for S seconds (default 60)\n"
    "The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

enum {
  BATCH_BYTES =
      LIMIT_BODY_BYTES / 2, // a request goes out before the next line could pass the engine's body limit
  BATCH_MAX = 10000,
  WAIT_S = 60,
  WAIT_MAX_S = 86400,
  BAR_MS = 100,
  BAR_CELLS = 30,
};

struct sending {
  struct api_call *api;
  struct send_input input;
  struct buf body;    // the batch: lines as they stand in the file
  long *numbers;      // of each record in the batch, as the input counts them
  long count, max;    // records in the batch; most of them
  uint64_t wait_ms;   // for an engine that takes nothing
  int64_t file_bytes; // 0: unknown, no bar
  int64_t sent, accepted, duplicates, rejected;
  bool bar; // whether stderr is a terminal
  uint64_t bar_at_ms;
};

static void bar_clear(const struct sending *s) {
  if (s->bar) fputs("\r\033[K", stderr);
}

static void bar_draw(struct sending *s) {
  uint64_t now = clock_mono_ms();
  if (!s->bar || now - s->bar_at_ms < BAR_MS) return;
  s->bar_at_ms = now;
  if (s->file_bytes == 0 || s->input.whole) {
    fprintf(stderr, "\r%" PRId64 " sent", s->sent);
    return;
  }
  int64_t done = s->input.bytes < s->file_bytes ? s->input.bytes : s->file_bytes;
  int filled = (int)(done * BAR_CELLS / s->file_bytes);
  fprintf(stderr, "\r[%.*s%*s] %3d %%  %" PRId64 " sent", filled, "##############################",
          BAR_CELLS - filled, "", (int)(done * 100 / s->file_bytes), s->sent);
}

static void print_rejections(const struct sending *s, const json_t *rejected) {
  size_t i;
  json_t *one;
  json_array_foreach(rejected, i, one) {
    json_int_t index = json_integer_value(json_object_get(one, "index"));
    const char *why = json_string_value(json_object_get(one, "error"));
    if (index < 0 || index >= s->count) continue;
    bar_clear(s);
    fprintf(stderr, "%s %ld: %s\n", send_input_unit(&s->input), s->numbers[index], why ? why : "rejected");
  }
}

// Counts what the engine says of a batch it answered 200.
static bool take_answer(struct sending *s, const struct api_answer *answer, struct err *err) {
  json_t *counts = json_loadb(answer->body.at ? answer->body.at : "", answer->body.len, 0, NULL);
  json_t *rejected = json_object_get(counts, "rejected");
  if (!json_is_integer(json_object_get(counts, "accepted")) || !json_is_array(rejected)) {
    json_decref(counts);
    return err_set(err, "the answer is no count of records; is this a sluice engine?");
  }
  s->sent += s->count;
  s->accepted += json_integer_value(json_object_get(counts, "accepted"));
  s->duplicates += json_integer_value(json_object_get(counts, "duplicates"));
  s->rejected += (int64_t)json_array_size(rejected);
  print_rejections(s, rejected);
  json_decref(counts);
  return true;
}

// Waits as long as the engine asks for, at most until it is given up; false: that time has come.
static bool wait_for(const struct sending *s, const struct api_answer *answer, uint64_t give_up_ms) {
  uint64_t now = clock_mono_ms(),
           wait_ms = answer->retry_after_s > 0 ? (uint64_t)answer->retry_after_s * 1000 : 1000;
  if (now >= give_up_ms) return false;
  if (wait_ms > give_up_ms - now) wait_ms = give_up_ms - now;
  struct err said = {0};
  api_call_refused(answer, &said);
  bar_clear(s);
  fprintf(stderr, "the engine says: %s; trying again in %" PRIu64 " s\n", said.text, (wait_ms + 999) / 1000);
  struct timespec pause = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000};
  nanosleep(&pause, NULL);
  return true;
}

// Posts the batch until the engine takes it; 429 and 503 mean that it took nothing of it.
static bool batch_post(struct sending *s, struct err *err) {
  if (s->count == 0) return true;
  uint64_t give_up_ms = clock_mono_ms() + s->wait_ms;
  for (;;) {
    struct api_answer answer;
    if (!api_call_send(s->api, "POST", "/api/v1/records", "application/x-ndjson", buf_slice(&s->body),
                       &answer, err))
      return false;
    if (answer.status == 200) {
      if (!take_answer(s, &answer, err)) return false;
      break;
    }
    bool busy = answer.status == 429 || answer.status == 503;
    if (!busy || !wait_for(s, &answer, give_up_ms)) return api_call_refused(&answer, err);
  }
  s->body.len = 0;
  s->count = 0;
  bar_draw(s);
  return true;
}

static bool is_blank(struct slice line) {
  for (size_t i = 0; i < line.len; i++)
    if (!strchr(" \t\r\n", line.at[i])) return false;
  return true;
}

static bool batch_add(struct sending *s, struct slice line, struct err *err) {
  bool full = s->count == s->max || s->body.len + line.len + 1 > BATCH_BYTES;
  if (full && !batch_post(s, err)) return false;
  bool ended = line.at[line.len - 1] == '\n';
  if (!buf_append(&s->body, line.at, line.len) || (!ended && !buf_append_byte(&s->body, '\n')))
    return err_set(err, "%s %ld is too long (%zu bytes)", send_input_unit(&s->input), s->input.number,
                   line.len);
  s->numbers[s->count++] = s->input.number;
  return true;
}

static bool send_records(struct sending *s, FILE *file, struct err *err) {
  struct slice record;
  bool ok = send_input_begin(&s->input, file, err);
  while (ok && send_input_next(&s->input, &record, err))
    if (!is_blank(record)) ok = batch_add(s, record, err);
  ok = ok && !err->text[0] && batch_post(s, err);
  send_input_end(&s->input);
  return ok;
}

static FILE *open_input(const char *name, struct sending *s, struct err *err) {
  FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
  struct stat facts;
  if (!file)
    err_set_errno(err, "cannot open");
  else if (fstat(fileno(file), &facts) == 0 && S_ISREG(facts.st_mode))
    s->file_bytes = facts.st_size;
  return file;
}

static int send_file(const char *name, const char *url, long batch, int64_t wait_s) {
  struct err err = {0};
  struct sending s = {.max = batch, .wait_ms = (uint64_t)wait_s * 1000, .bar = isatty(STDERR_FILENO)};
  buf_init(&s.body, LIMIT_BODY_BYTES + BATCH_BYTES);
  s.numbers = mem_must(mem_zero((size_t)batch, sizeof *s.numbers));
  s.api = api_call_open(url, NULL, &err);
  FILE *file = s.api ? open_input(name, &s, &err) : NULL;
  bool ok = file && send_records(&s, file, &err);
  bar_clear(&s);
  if (!ok) fprintf(stderr, "send %s: %s\n", name, err.text);
  if (file) // nothing was counted where there was nothing to read
    printf("sent %" PRId64 " accepted %" PRId64 " duplicates %" PRId64 " rejected %" PRId64 "\n", s.sent,
           s.accepted, s.duplicates, s.rejected);
  if (file && file != stdin) fclose(file);
  api_call_close(s.api);
  mem_free(s.numbers);
  buf_fini(&s.body);
  return ok && s.rejected == 0 ? 0 : 1;
}

int cmd_send(int argc, char **argv) {
  static const struct option options[] = {{"url", required_argument, NULL, 'u'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"wait", required_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  const char *url = NULL;
  int64_t batch = 500, wait_s = WAIT_S;
  int c;
  optind = 1;
  while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (c) {
    case 'u':
      url = optarg;
      break;
    case 'b':
      if (!args_number("--batch", optarg, 1, BATCH_MAX, &batch)) return args_wrong("send");
      break;
    case 'w':
      if (!args_number("--wait", optarg, 0, WAIT_MAX_S, &wait_s)) return args_wrong("send");
      break;
    case 'h':
      fputs(usage, stdout);
      return 0;
    default:
      return args_wrong("send");
    }
  }
  if (optind == argc) {
    fputs("send: FILE is missing (- reads stdin)\n", stderr);
    return args_wrong("send");
  }
  if (optind + 1 < argc) return args_unexpected("send", argv[optind + 1]);
  return send_file(argv[optind], url, (long)batch, wait_s);
}
