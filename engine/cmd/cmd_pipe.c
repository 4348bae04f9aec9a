// cmd_pipe.c - `sluice pipe`: records on stdin through a script (and a sink) to stdout, as a stream would make them.
//
// One record at a time, so the memory does not grow with the input. What is dropped is counted on stderr by reason.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/pipe_sink.h"
#include "cmd/trial.h"
#include "script/script.h"
#include "script/spec_record.h"
#include "script/windows.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASONS = 64, REASON_BYTES = 65 };

struct reason {
  char text[REASON_BYTES];
  unsigned long count;
};

struct piping {
  struct script *script;
  struct script_result result;
  struct json_tape tape;
  struct pipe_sink *sink; // NULL: results are printed as they are
  const char *file;
  struct reason reasons[REASONS];
  unsigned long line, kept, failed, broken;
};

static int usage(void) {
  puts("usage: sluice pipe SCRIPT.lua [--sink NAME --set k=v ...] [--sinks FOLDER]\n\n"
       "Reads records, one a line, on stdin and prints what a stream with this script would make of them.\n"
       "With --sink, prints the requests that would be sent, secrets as stars, bodies as they are before gzip;\n"
       "their webhook-id is made of the stream \"st_pipe\" and the numbers of the lines.\n"
       "Dropped records are counted on stderr by reason; what the script logs and the alerts it raises are shown\n"
       "there, too.\n"
       "Exit 1 when the script failed for a record or a line was no record.");
  return 0;
}

static void count_reason(struct piping *p, const char *text) {
  size_t i = 0;
  while (i + 1 < REASONS && p->reasons[i].count && strcmp(p->reasons[i].text, text) != 0) i++;
  if (!p->reasons[i].count) snprintf(p->reasons[i].text, REASON_BYTES, "%.64s", i + 1 < REASONS ? text : "other");
  p->reasons[i].count++;
}

static bool print_output(struct piping *p, const struct record_header *header, struct slice body, bool *kept, struct err *err) {
  const char *dropped = NULL;
  if (p->sink) {
    if (!pipe_sink_add(p->sink, header, body, &dropped, err)) return false;
  } else {
    fwrite(body.at, 1, body.len, stdout);
    putchar('\n');
  }
  if (dropped) count_reason(p, dropped);
  *kept |= !dropped;
  return true;
}

static bool print_outputs(struct piping *p, const struct record_header *header, struct err *err) {
  bool kept = false;
  for (uint32_t i = 0; i < p->result.output_count; i++) {
    struct slice body = slice_make(p->result.bytes.at + p->result.outputs[i].body_at, p->result.outputs[i].body_len);
    if (!print_output(p, header, body, &kept, err)) return false;
  }
  p->kept += kept;
  return true;
}

static void print_log(void *arg, const char *line, size_t len) {
  (void)arg;
  fprintf(stderr, "log: %.*s\n", (int)len, line);
}

// A worn state is thrown away, as a worker does.
static bool reload(struct piping *p, struct err *err) {
  size_t len;
  struct script_limits limits = {0};
  struct windows *windows = p->script ? script_take_windows(p->script, 1) : NULL; // they outlive a state
  script_free(p->script);
  char *source = disk_read_file(p->file, LIMIT_SCRIPT_SOURCE_BYTES, &len, err);
  bool compiles = source && trial_compile(p->file, slice_make(source, len), SCRIPT_STREAM, err);
  p->script = compiles ? script_load(p->file, slice_make(source, len), SCRIPT_STREAM, &limits, err) : NULL;
  mem_free(source);
  if (p->script) script_set_log(p->script, print_log, NULL);
  if (windows && !(p->script && script_give_windows(p->script, 1, windows))) windows_free(windows);
  return p->script && script_set_context(p->script, 1, slice_of("{\"stream\":{\"id\":\"st_pipe\",\"name\":\"pipe\",\"organisation_id\":null},"
                                                               "\"parameters\":{}}"), err);
}

static void print_alerts(const struct piping *p, const struct record_header *header) {
  for (uint32_t i = 0; i < p->result.alert_count; i++) {
    const struct script_alert *alert = &p->result.alerts[i];
    fprintf(stderr, "alert: %s %s %s (record %lld)\n", alert->key, script_severity_name(alert->severity), alert->title,
            (long long)header->id);
  }
  if (p->result.alert_failed)
    fprintf(stderr, "%s:%u: alert: %s (record %lld)\n", p->file, p->result.alert_line, p->result.alert_text, (long long)header->id);
}

static bool run_record(struct piping *p, const struct record_header *header, struct err *err) {
  script_run(p->script, 1, header, &p->tape, &p->result);
  print_alerts(p, header);
  switch (p->result.outcome) {
  case SCRIPT_KEPT: return print_outputs(p, header, err);
  case SCRIPT_FILTERED: count_reason(p, p->result.text); return true;
  default: break;
  }
  p->failed++;
  fprintf(stderr, "%s:%u: %s (record %lld, line %lu)\n", p->file, p->result.line, p->result.text, (long long)header->id, p->line);
  return !script_worn(p->script) || reload(p, err);
}

static bool run_line(struct piping *p, struct slice text, struct err *err) {
  struct err why = {0};
  struct record_header header;
  if (!spec_record_read(&p->tape, text, &header, &why)) {
    p->broken++;
    fprintf(stderr, "line %lu: %s\n", p->line, why.text);
    return true;
  }
  header.sequence = p->line;
  if (!p->sink || pipe_sink_accepts(p->sink, header.kind)) return run_record(p, &header, err);
  count_reason(p, "sink"); // before the script, as a stream does
  return true;
}

static bool run_lines(struct piping *p, struct err *err) {
  char *line = NULL;
  size_t room = 0;
  bool ok = true;
  for (ssize_t len; ok && (len = getline(&line, &room, stdin)) >= 0;) {
    p->line++;
    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
    if (len) ok = run_line(p, slice_make(line, (size_t)len), err);
  }
  free(line);
  return ok && (!p->sink || pipe_sink_flush(p->sink, err));
}

static void tell(const struct piping *p) {
  fprintf(stderr, "%lu kept", p->kept);
  for (size_t i = 0; i < REASONS && p->reasons[i].count; i++) fprintf(stderr, ", %lu dropped (%s)", p->reasons[i].count, p->reasons[i].text);
  if (p->failed) fprintf(stderr, ", %lu failed", p->failed);
  if (p->broken) fprintf(stderr, ", %lu no records", p->broken);
  fputc('\n', stderr);
}

static int run(struct piping *p, const char *sinks, const char *sink, const struct pipe_settings *settings) {
  struct err err = {0};
  bool ok = reload(p, &err) && (!sink || (p->sink = pipe_sink_new(sinks, sink, settings, &err)));
  if (!ok) {
    fprintf(stderr, "%s\n", err.text);
    return 2;
  }
  json_tape_init(&p->tape);
  script_result_init(&p->result);
  ok = run_lines(p, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  tell(p);
  pipe_sink_free(p->sink);
  script_result_fini(&p->result);
  json_tape_fini(&p->tape);
  script_free(p->script);
  return ok && !p->failed && !p->broken && fflush(stdout) == 0 ? 0 : 1;
}

int cmd_pipe(int argc, char **argv) {
  const char *sinks = "sinks", *sink = NULL;
  struct pipe_settings settings = {0};
  static const struct option options[] = {{"sink", required_argument, NULL, 's'}, {"set", required_argument, NULL, 'v'},
                                          {"sinks", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, {0}};
  for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    if (option == 'h') return usage();
    if (option == 's') sink = optarg;
    else if (option == 'f') sinks = optarg;
    else if (option != 'v' || !pipe_settings_add(&settings, optarg)) return args_wrong("pipe");
  }
  if (optind + 1 != argc) return args_wrong("pipe");
  struct piping *p = mem_must(mem_zero(1, sizeof *p));
  p->file = argv[optind];
  int code = run(p, sinks, sink, &settings);
  mem_free(p);
  return code;
}
