// engine.c - the engine under test: configured, started, asked for its port, and ended.
#include "engine.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/api_call.h"
#include "stop.h"
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 20000, STOP_MS = 15000, FILES_OPEN = 64, LOG_TAIL_BYTES = 1000 };

const char engine_token[] = "bench-operator-token";

const char engine_script[] =
    "local M = { api = 1 }\n"
    "\n"
    "function M.filter(rec)\n"
    "  local severity = rec.event_severity\n"
    "  if severity and severity.id == 0 and rec.event_type.id ~= 5 then return false, \"info\" end\n"
    "  return true\n"
    "end\n"
    "\n"
    "function M.map(rec, ctx)\n"
    "  return {\n"
    "    id = rec.id,\n"
    "    kind = ctx.kind,\n"
    "    organisation = rec.organisation.id,\n"
    "    endpoint = rec.endpoint.id,\n"
    "    iccid = rec.sim.iccid,\n"
    "    at = rec.end_timestamp or rec.timestamp,\n"
    "    mb = get(rec, \"volume.total\") or get(rec, \"detail.volume.total\", 0),\n"
    "    operator = get(rec, \"operator.name\") or get(rec, \"detail.name\"),\n"
    "  }\n"
    "end\n"
    "\n"
    "return M\n";

static bool write_file(const struct engine *engine, const char *name, const char *text, struct err *err) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", engine->folder, name);
  FILE *file = fopen(path, "we");
  if (!file) return err_set_errno(err, "cannot write %s", path);
  bool written = fputs(text, file) >= 0;
  return (fclose(file) == 0 && written) || err_set_errno(err, "cannot write %s", path);
}

static bool folder_make(struct engine *engine, const char *sinks, const char *under, struct err *err) {
  char path[400], config[2048];
  snprintf(engine->folder, sizeof engine->folder, "%s/sluice-bench-XXXXXX", under);
  if (!mkdtemp(engine->folder)) return err_set_errno(err, "cannot make a folder in %s", under);
  snprintf(path, sizeof path, "%s/scripts", engine->folder);
  if (mkdir(path, 0700) != 0) return err_set_errno(err, "cannot make %s", path);
  snprintf(config, sizeof config,
           "return {\n"
           "  listen = \"127.0.0.1:0\",\n"
           "  data = \"%s/data\",\n"
           "  scripts = \"%s/scripts\",\n"
           "  sinks = \"%s\",\n"
           "  egress = { allow = { \"127.0.0.0/8\" } },\n"
           "}\n",
           engine->folder, engine->folder, sinks);
  return write_file(engine, "sluice.lua", config, err) &&
         write_file(engine, "scripts/bench.lua", engine_script, err);
}

static _Noreturn void engine_main(const struct engine *engine, const char *program) {
  char config[300];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0); // Ctrl-C reaches the bench alone, which then ends the engine
  int log = open(engine->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  setenv("SLUICE_TOKEN_OPERATOR", engine_token, 1);
  snprintf(config, sizeof config, "%s/sluice.lua", engine->folder);
  execl(program, program, "run", "-c", config, (char *)NULL);
  dprintf(STDERR_FILENO, "cannot run %s: %m\n", program);
  _exit(127);
}

bool engine_alive(struct engine *engine) {
  if (engine->pid > 0 && waitpid(engine->pid, NULL, WNOHANG) == engine->pid) engine->pid = 0;
  return engine->pid > 0;
}

// The port from the log's line "... listening on http://127.0.0.1:PORT", or 0.
static int port_from_log(const struct engine *engine) {
  static const char words[] = "listening on http://127.0.0.1:";
  char line[1024];
  int port = 0;
  FILE *file = fopen(engine->log, "re");
  while (file && port == 0 && fgets(line, sizeof line, file)) {
    const char *found = strstr(line, words);
    if (found && strchr(found, '\n')) port = atoi(found + strlen(words));
  }
  if (file) fclose(file);
  return port;
}

static bool wait_for_port(struct engine *engine, struct err *err) {
  uint64_t deadline_ns = clock_mono_ns() + START_MS * 1000000ull;
  struct timespec pause = {0, 5000000};
  while ((engine->port = port_from_log(engine)) == 0) {
    if (!engine_alive(engine)) return err_set(err, "the engine ended at its start");
    if (stop_due(deadline_ns)) return err_set(err, "the engine does not say where it listens");
    nanosleep(&pause, NULL);
  }
  return true;
}

bool engine_start(struct engine *engine, const char *program, const char *sinks, const char *under,
                  struct err *err) {
  if (!folder_make(engine, sinks, under, err)) return false;
  snprintf(engine->log, sizeof engine->log, "%s/engine.log", engine->folder);
  engine->pid = fork();
  if (engine->pid == 0) engine_main(engine, program);
  if (engine->pid < 0) return err_set_errno(err, "cannot start the engine");
  return wait_for_port(engine, err);
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *walk) {
  (void)facts;
  (void)kind;
  (void)walk;
  return remove(path);
}

// Where the log is, and how it ends.
static void print_log(const struct engine *engine) {
  char text[LOG_TAIL_BYTES + 1];
  FILE *file = fopen(engine->log, "re");
  if (!file) return;
  if (fseek(file, -LOG_TAIL_BYTES, SEEK_END) != 0) rewind(file);
  text[fread(text, 1, LOG_TAIL_BYTES, file)] = '\0';
  fclose(file);
  fprintf(stderr, "%s ends:\n%s\n", engine->log, text);
}

void engine_stop(struct engine *engine, bool keep) {
  uint64_t deadline_ns = clock_mono_ns() + STOP_MS * 1000000ull;
  struct timespec pause = {0, 5000000};
  if (engine_alive(engine)) kill(engine->pid, SIGTERM);
  while (engine_alive(engine) && clock_mono_ns() < deadline_ns)
    nanosleep(&pause, NULL);
  if (engine_alive(engine)) {
    kill(engine->pid, SIGKILL);
    waitpid(engine->pid, NULL, 0);
  }
  if (keep)
    print_log(engine);
  else if (engine->folder[0])
    nftw(engine->folder, remove_one, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
  *engine = (struct engine){0};
}

static bool stream_create(struct api_call *api, json_t *definition, struct err *err) {
  struct api_answer answer;
  char *text = mem_must(json_dumps(definition, JSON_COMPACT));
  bool ok = api_call_send(api, "POST", "/api/v1/streams", "application/json", slice_of(text), &answer, err);
  free(text);
  return ok && (answer.status == 201 || api_call_refused(&answer, err));
}

bool engine_streams(struct engine *engine, uint32_t count, json_t *(*definition)(uint32_t i, const void *arg),
                    const void *arg, struct err *err) {
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%d", engine->port);
  struct api_call *api = api_call_open(url, engine_token, err);
  bool ok = api != NULL;
  for (uint32_t i = 0; ok && i < count; i++) {
    json_t *stream = definition(i, arg);
    ok = !stop_asked && stream_create(api, stream, err);
    json_decref(stream);
  }
  api_call_close(api);
  return ok || err_prepend(err, "creating streams");
}
