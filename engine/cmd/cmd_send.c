// cmd_send.c - `sluice send`: posts the records of a file to an engine, batch by batch, and counts what
// became of them.
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/api_call.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char usage[] = "usage: sluice send FILE|- [--url URL] [--batch N]\n"
                            "Posts records (NDJSON, one a line) to an engine and prints how many it took.\n"
                            "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
                            "  --batch N   records a request, 1 to 10000 (default 500)\n"
                            "The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

enum {
  BATCH_BYTES =
      LIMIT_BODY_BYTES / 2, // a request goes out before the next line could pass the engine's body limit
  BATCH_MAX = 10000,
  PATIENCE_MS = 300000, // an engine that takes nothing for so long is given up
  BAR_MS = 100,
  BAR_CELLS = 30,
};

struct sending {
  struct api_call *api;
  struct buf body;    // the batch: lines as they stand in the file
  long *line_numbers; // of each record in the batch
  long count, max;    // records in the batch; most of them
  long line;          // last line read
  int64_t file_bytes; // 0: unknown, no bar
  int64_t bytes;      // read so far
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
  if (s->file_bytes == 0) {
    fprintf(stderr, "\r%" PRId64 " sent", s->sent);
    return;
  }
  int64_t done = s->bytes < s->file_bytes ? s->bytes : s->file_bytes;
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
    fprintf(stderr, "line %ld: %s\n", s->line_numbers[index], why ? why : "rejected");
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

static void wait_s(struct sending *s, const struct api_answer *answer, long seconds) {
  bar_clear(s);
  fprintf(stderr, "the engine answers %d; trying again in %ld s\n", answer->status, seconds);
  struct timespec pause = {seconds, 0};
  nanosleep(&pause, NULL);
}

// Posts the batch until the engine takes it; 429 and 503 mean that it took nothing of it.
static bool batch_post(struct sending *s, struct err *err) {
  if (s->count == 0) return true;
  uint64_t give_up_ms = clock_mono_ms() + PATIENCE_MS;
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
    if (!busy || clock_mono_ms() > give_up_ms) return api_call_refused(&answer, err);
    wait_s(s, &answer, answer.retry_after_s > 0 ? answer.retry_after_s : 1);
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
    return err_set(err, "line %ld is too long (%zu bytes)", s->line, line.len);
  s->line_numbers[s->count++] = s->line;
  return true;
}

static bool send_lines(struct sending *s, FILE *file, struct err *err) {
  char *line = NULL;
  size_t room = 0;
  bool ok = true;
  ssize_t len;
  while (ok && (len = getline(&line, &room, file)) > 0) {
    s->line++;
    s->bytes += len;
    struct slice text = slice_make(line, (size_t)len);
    if (!is_blank(text)) ok = batch_add(s, text, err);
  }
  free(line);
  if (ok && ferror(file)) ok = err_set_errno(err, "cannot read");
  return ok && batch_post(s, err);
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

static int send_file(const char *name, const char *url, long batch) {
  struct err err = {0};
  struct sending s = {.max = batch, .bar = isatty(STDERR_FILENO)};
  buf_init(&s.body, LIMIT_BODY_BYTES + BATCH_BYTES);
  s.line_numbers = mem_must(mem_zero((size_t)batch, sizeof *s.line_numbers));
  s.api = api_call_open(url, NULL, &err);
  FILE *file = s.api ? open_input(name, &s, &err) : NULL;
  bool ok = file && send_lines(&s, file, &err);
  bar_clear(&s);
  if (!ok) fprintf(stderr, "send %s: %s\n", name, err.text);
  printf("sent %" PRId64 " accepted %" PRId64 " duplicates %" PRId64 " rejected %" PRId64 "\n", s.sent,
         s.accepted, s.duplicates, s.rejected);
  if (file && file != stdin) fclose(file);
  api_call_close(s.api);
  mem_free(s.line_numbers);
  buf_fini(&s.body);
  return ok && s.rejected == 0 ? 0 : 1;
}

int cmd_send(int argc, char **argv) {
  static const struct option options[] = {{"url", required_argument, NULL, 'u'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  const char *url = NULL;
  int64_t batch = 500;
  int c;
  optind = 1;
  while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (c) {
    case 'u':
      url = optarg;
      break;
    case 'b':
      if (!args_number("--batch", optarg, 1, BATCH_MAX, &batch)) return 2;
      break;
    case 'h':
      fputs(usage, stdout);
      return 0;
    default:
      return args_wrong("send");
    }
  }
  if (optind + 1 != argc) {
    fputs(optind == argc ? "which file? (- reads stdin)\n" : "one file at a time\n", stderr);
    return args_wrong("send");
  }
  return send_file(argv[optind], url, (long)batch);
}
