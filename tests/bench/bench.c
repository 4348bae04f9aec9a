// bench.c - `sluice-bench`: runs the works of the benchmark one after the other and prints a line of JSON for
// each.
//
// Everything runs on this machine: the poster in this process, the sink in one of its own, the engine under
// test as a third. Figures never decide the exit code; a work that could not be done to its end does.
#include "cmd/args.h"
#include "stop.h"
#include "work.h"
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// clang-format off
static const struct work works[] = {
    {.name = "ingest", .help = "records in and on disk; no stream",
     .records = 3000000, .records_per_request = 500, .connections = 4, .organisations = 5, .sink = "rest_bulk"},
    {.name = "bulk", .help = "to rest_bulk without a script", .streams = 1, .in_flight = 8,
     .records = 2000000, .records_per_request = 500, .connections = 4, .organisations = 5, .sink = "rest_bulk"},
    {.name = "lua", .help = "the third work: Lua filter and map, to rest_bulk", .script = true, .streams = 1, .in_flight = 8,
     .records = 2000000, .records_per_request = 500, .connections = 4, .organisations = 5, .sink = "rest_bulk"},
    {.name = "rest", .help = "to rest, one record a request", .streams = 1, .in_flight = 32,
     .records = 200000, .records_per_request = 500, .connections = 2, .organisations = 5, .sink = "rest"},
    {.name = "streams10", .help = "the third work with 10 streams", .script = true, .streams = 10, .in_flight = 8,
     .records = 2000000, .records_per_request = 500, .connections = 4, .organisations = 10, .sink = "rest_bulk"},
    {.name = "streams10k", .help = "the same with 10,000 streams", .script = true, .streams = 10000, .in_flight = 8,
     .records = 2000000, .records_per_request = 500, .connections = 4, .organisations = 10000, .sink = "rest_bulk"},
    {.name = "latency", .help = "the third work, 2,000 records a second in requests of 1 to 4", .script = true, .streams = 1,
     .in_flight = 8, .records_per_s = 2000, .connections = 16, .organisations = 5, .sink = "rest_bulk"},
};
// clang-format on
enum { WORKS = sizeof works / sizeof *works };

struct asked {
  struct work_place place;
  int64_t records, connections, in_flight, seconds; // 0: as the work says
  double rates[WORKS];                              // of the works that ran
};

static void usage(void) {
  puts("usage: sluice-bench [OPTION...] [WORK...]        (no WORK: all of them)\n"
       "  --engine FILE     the program to measure (default: sluice beside this one)\n"
       "  --data FOLDER     where data folders are made (default /var/tmp: not in memory, as /tmp may be)\n"
       "  --records N       records of each work but latency\n"
       "  --seconds N       length of latency (default 10)\n"
       "  --connections N   connections that post\n"
       "  --in-flight N     in_flight of the streams\n"
       "  --deadline N      seconds until a work is given up (default 180)\n"
       "  --keep            leaves the data folders and the engines' logs");
  for (size_t i = 0; i < WORKS; i++)
    printf("  %-12s %s\n", works[i].name, works[i].help);
}

static void print_figures(const struct work *work, const struct work_figures *f) {
  printf("{\"work\":\"%s\",\"records\":%" PRIu64
         ",\"seconds\":%.3f,\"records_per_s\":%.0f,\"engine_cpu_us_per_record\":%.3f,"
         "\"engine_cores\":%.2f,\"engine_peak_mb\":%.1f,\"sink_records\":%" PRIu64
         ",\"sink_requests\":%" PRIu64 ",\"sink_mb\":%.1f,\"repeats\":%" PRIu64 ",\"strays\":%" PRIu64
         ",\"refusals\":%" PRIu64,
         work->name, f->records, f->seconds, f->records_per_s, f->cpu_us_per_record, f->cores, f->peak_mb,
         f->arrived, f->sink_requests, (double)f->sink_bytes / 1e6, f->repeats, f->strays, f->refusals);
  if (strcmp(work->sink, "rest") == 0)
    printf(",\"requests_per_core_s\":%.0f", (double)f->sink_requests / (f->cores * f->seconds));
  if (work->streams)
    printf(",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f", f->p50_ms, f->p99_ms, f->max_ms);
  puts("}");
  fflush(stdout);
}

static struct work adjusted(const struct work *work, const struct asked *a) {
  struct work w = *work;
  if (w.records_per_s) w.records = (uint64_t)w.records_per_s * (uint64_t)(a->seconds ? a->seconds : 10);
  if (!w.records_per_s && a->records) w.records = (uint64_t)a->records;
  if (a->connections) w.connections = (uint32_t)a->connections;
  if (a->in_flight) w.in_flight = (uint32_t)a->in_flight;
  return w;
}

static size_t work_index(const char *name) {
  size_t i = 0;
  while (i < WORKS && strcmp(works[i].name, name) != 0)
    i++;
  return i;
}

static bool run_one(struct asked *a, size_t i) {
  struct err err = {0};
  struct work_figures figures;
  struct work work = adjusted(&works[i], a);
  fprintf(stderr, "%s: %s\n", work.name, work.help);
  if (!work_run(&work, &a->place, &figures, &err)) {
    fprintf(stderr, "%s: %s\n", work.name, err.text);
    return false;
  }
  a->rates[i] = figures.records_per_s;
  print_figures(&work, &figures);
  return true;
}

// 10,000 streams mean something only beside 10.
static bool run_with_companion(struct asked *a, size_t i) {
  size_t companion = work_index("streams10");
  bool ok = a->rates[companion] > 0 || run_one(a, companion);
  ok = run_one(a, i) && ok;
  if (ok) printf("{\"work\":\"streams10k/streams10\",\"ratio\":%.3f}\n", a->rates[i] / a->rates[companion]);
  return ok;
}

static bool run_named(struct asked *a, const char *name) {
  size_t i = work_index(name);
  return strcmp(name, "streams10k") == 0 ? run_with_companion(a, i) : run_one(a, i);
}

static bool run_all(struct asked *a, int count, char **names) {
  bool ok = true;
  if (count == 0)
    for (size_t i = 0; i < WORKS && !stop_asked; i++)
      ok = run_named(a, works[i].name) && ok;
  for (int i = 0; i < count && !stop_asked; i++)
    ok = run_named(a, names[i]) && ok;
  return ok && !stop_asked;
}

static void ask_stop(int signal_number) {
  (void)signal_number;
  stop_asked = 1;
}

// The program "sluice" in this program's folder.
static const char *engine_beside(void) {
  static char path[PATH_MAX];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof "sluice");
  if (len <= 0) return "sluice";
  path[len] = '\0';
  strcpy(strrchr(path, '/') + 1, "sluice");
  return path;
}

static const struct option options[] = {{"engine", required_argument, NULL, 'e'},
                                        {"data", required_argument, NULL, 'd'},
                                        {"records", required_argument, NULL, 'r'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"connections", required_argument, NULL, 'c'},
                                        {"in-flight", required_argument, NULL, 'i'},
                                        {"deadline", required_argument, NULL, 'D'},
                                        {"keep", no_argument, NULL, 'k'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

static bool option_take(struct asked *a, int option, int64_t *deadline_s) {
  switch (option) {
  case 'e':
    a->place.engine = optarg;
    return true;
  case 'd':
    a->place.folder = optarg;
    return true;
  case 'k':
    return a->place.keep = true;
  case 'r':
    return args_number("--records", optarg, 1, 500000000, &a->records);
  case 's':
    return args_number("--seconds", optarg, 1, 3600, &a->seconds);
  case 'c':
    return args_number("--connections", optarg, 1, 500, &a->connections);
  case 'i':
    return args_number("--in-flight", optarg, 1, 64, &a->in_flight);
  case 'D':
    return args_number("--deadline", optarg, 1, 86400, deadline_s);
  default:
    return false;
  }
}

int main(int argc, char **argv) {
  struct asked asked = {.place = {.engine = engine_beside(), .sinks = BENCH_SINKS, .folder = "/var/tmp"}};
  int64_t deadline_s = 180;
  int c;
  while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (c == 'h') {
      usage();
      return 0;
    }
    if (!option_take(&asked, c, &deadline_s)) return 2;
  }
  for (int i = optind; i < argc; i++) {
    if (work_index(argv[i]) < WORKS) continue;
    fprintf(stderr, "no work is called '%s'; `sluice-bench -h` lists them\n", argv[i]);
    return 2;
  }
  asked.place.deadline_s = (uint32_t)deadline_s;
  struct sigaction stopping = {.sa_handler = ask_stop};
  sigaction(SIGINT, &stopping, NULL);
  sigaction(SIGTERM, &stopping, NULL);
  return run_all(&asked, argc - optind, argv + optind) ? 0 : 1;
}
