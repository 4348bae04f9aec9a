// cmd_top.c - `sluice top`: a live table of the streams, asked for over the API each second.
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/api_list.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: sluice top [--once] [--json]\n"
    "Shows the streams and what they delivered and filtered a second, anew each second, until it is "
    "interrupted.\n"
    "  --once      one table, of one second; so also where the output is no terminal\n"
    "  --json      the same as JSON\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

enum { INTERVAL_S = 1 };

enum text { ID, NAME, SINK, STATE, TEXTS };
enum number { DELIVERED, FILTERED, DEAD, RETRIES, LAG, NUMBERS };
enum { RATES = FILTERED + 1 }; // numbers that are shown by the second

struct row {
  char *texts[TEXTS];
  int64_t numbers[NUMBERS];
  double rates[RATES]; // a second; negative: not known yet, or the engine has forgotten some
};

struct sample { // the streams at one time
  struct row *rows;
  size_t count, cap;
  uint64_t at_ns;
};

// ---- asking ----

static void sample_fini(struct sample *s) {
  for (size_t i = 0; i < s->count; i++)
    for (int text = 0; text < TEXTS; text++)
      mem_free(s->rows[i].texts[text]);
  mem_free(s->rows);
  *s = (struct sample){0};
}

static void add(void *arg, const struct json_tape *page, uint32_t item) {
  static const char *const texts[TEXTS] = {"id", "name", "sink", "status.state"};
  static const char *const numbers[NUMBERS] = {"status.delivered", "status.filtered", "status.dead",
                                               "status.retries", "status.lag_records"};
  struct sample *s = arg;
  if (s->count == s->cap) {
    s->cap = s->cap ? 2 * s->cap : 64;
    s->rows = mem_must(mem_grow(s->rows, s->cap * sizeof *s->rows));
  }
  struct row *row = &s->rows[s->count++];
  *row = (struct row){.rates = {-1, -1}};
  for (int i = 0; i < TEXTS; i++)
    row->texts[i] = api_list_cell(page, json_path(page, item, slice_of(texts[i])));
  for (int i = 0; i < NUMBERS; i++) {
    uint32_t value = json_path(page, item, slice_of(numbers[i]));
    if (value) json_tape_integer(page, value, &row->numbers[i]);
  }
}

// The row of that stream, looked for from `hint` on: the order of the streams hardly changes.
static const struct row *find(const struct sample *s, size_t hint, const char *id) {
  for (size_t i = 0; i < s->count; i++) {
    const struct row *row = &s->rows[(hint + i) % s->count];
    if (strcmp(row->texts[ID], id) == 0) return row;
  }
  return NULL;
}

static void set_rates(struct sample *now, const struct sample *before) {
  double seconds = (double)(now->at_ns - before->at_ns) / 1e9;
  for (size_t i = 0; i < now->count; i++) {
    struct row *row = &now->rows[i];
    const struct row *was = find(before, i, row->texts[ID]);
    for (int n = 0; was && n < RATES; n++)
      row->rates[n] = (double)(row->numbers[n] - was->numbers[n]) / seconds;
  }
}

// A new sample in place of the last one.
static bool ask(struct api_call *api, struct sample *last, struct err *err) {
  struct sample now = {0};
  bool ok = api_list_each(api, "/api/v1/streams", add, &now, err);
  now.at_ns = clock_mono_ns();
  if (ok && last->at_ns) set_rates(&now, last);
  sample_fini(ok ? last : &now);
  if (ok) *last = now;
  return ok;
}

// ---- showing ----

static const char *rate_cell(double rate, char room[32]) {
  if (rate < 0) return "-";
  snprintf(room, 32, rate > 0 && rate < 10 ? "%.1f" : "%.0f", rate);
  return room;
}

static void print_table(const struct sample *s, FILE *out) {
  static const char *const heads[] = {"NAME",       "SINK", "STATE",   "DELIVERED/S",
                                      "FILTERED/S", "DEAD", "RETRIES", "LAG"};
  struct table *table = table_new(heads, sizeof heads / sizeof *heads);
  for (size_t i = 0; i < s->count; i++) {
    const struct row *row = &s->rows[i];
    char rates[RATES][32], numbers[NUMBERS][24];
    for (int n = RATES; n < NUMBERS; n++)
      snprintf(numbers[n], sizeof numbers[n], "%" PRId64, row->numbers[n]);
    const char *cells[] = {row->texts[NAME],
                           row->texts[SINK],
                           row->texts[STATE],
                           rate_cell(row->rates[DELIVERED], rates[DELIVERED]),
                           rate_cell(row->rates[FILTERED], rates[FILTERED]),
                           numbers[DEAD],
                           numbers[RETRIES],
                           numbers[LAG]};
    table_row(table, cells);
  }
  table_print(table, out);
  table_free(table);
}

static json_t *rate_json(double rate) {
  return rate < 0 ? json_null() : json_real(rate);
}

static void print_json(const struct sample *s) {
  json_t *items = mem_must(json_array());
  for (size_t i = 0; i < s->count; i++) {
    const struct row *row = &s->rows[i];
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "id", row->texts[ID], "name",
                  row->texts[NAME], "sink", row->texts[SINK], "state", row->texts[STATE],
                  "delivered_per_second", rate_json(row->rates[DELIVERED]), "filtered_per_second",
                  rate_json(row->rates[FILTERED]), "dead", (json_int_t)row->numbers[DEAD], "retries",
                  (json_int_t)row->numbers[RETRIES], "lag_records", (json_int_t)row->numbers[LAG]);
    json_array_append_new(items, mem_must(item));
  }
  json_t *list = mem_must(json_pack("{s:o, s:n}", "items", items, "next"));
  json_dumpf(list, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(list);
}

static void draw(const struct sample *s) {
  char *text = NULL;
  size_t len = 0;
  FILE *out = mem_must(open_memstream(&text, &len));
  print_table(s, out);
  if (fclose(out) == 0) screen_draw(slice_make(text, len), stdout);
  free(text);
}

// ---- the command ----

static bool once(struct api_call *api, bool json, struct err *err) {
  struct sample sample = {0};
  bool ok = ask(api, &sample, err);
  if (ok) sleep(INTERVAL_S);
  ok = ok && ask(api, &sample, err);
  if (ok && json)
    print_json(&sample);
  else if (ok)
    print_table(&sample, stdout);
  sample_fini(&sample);
  return ok && (fflush(stdout) == 0 || err_set(err, "nobody reads the output"));
}

// Ends by a signal, or when something is wrong.
static bool live(struct api_call *api, struct err *err) {
  struct sample sample = {0};
  while (ask(api, &sample, err)) {
    draw(&sample);
    if (fflush(stdout) != 0) {
      err_set(err, "nobody reads the output");
      break;
    }
    sleep(INTERVAL_S);
  }
  sample_fini(&sample);
  return false;
}

int cmd_top(int argc, char **argv) {
  static const struct option options[] = {{"once", no_argument, NULL, 'o'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"url", required_argument, NULL, 'u'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  bool is_live = isatty(STDOUT_FILENO), json = false;
  const char *url = NULL;
  struct err err = {0};
  optind = 1;
  for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    if (option == 'h') {
      fputs(usage, stdout);
      return 0;
    }
    if (option == '?') return args_wrong("top");
    is_live &= option == 'u';
    json |= option == 'j';
    if (option == 'u') url = optarg;
  }
  if (optind != argc) return args_unexpected("top", argv[optind]);
  struct api_call *api = api_call_open(url, NULL, &err);
  bool ok = api && (is_live ? live(api, &err) : once(api, json, &err));
  if (!ok) fprintf(stderr, "top: %s\n", err.text);
  api_call_close(api);
  return ok ? 0 : 1;
}
