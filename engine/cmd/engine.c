#include "cmd/engine.h"
#include "api/app.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/trim.h"
#include "flow/reload.h"
#include "net/http_server.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLOSING_STEP_US = 5000 };

struct engine {
  struct config config;
  struct budget budget;
  struct app app;
  struct http_server *server;
  struct trim *trim;
  struct reload *reload;
  struct shared_blocks *blocks;
  struct courier **couriers;
  unsigned courier_count; // started ones
  struct loop_timer closing; // looks whether the last requests are answered
  unsigned stop_ms;    // all of the drain
  uint64_t stop_by_ms; // 0: nothing is waited for
  bool closing_begun, closing_done;
};

// ---- start ----

static bool make_token(const char *path, char token[TOKEN_BYTES], struct err *err) {
  unsigned char raw[32];
  char text[TOKEN_BYTES + 1];
  rand_bytes(raw, sizeof raw);
  sodium_bin2hex(token, TOKEN_BYTES, raw, sizeof raw);
  snprintf(text, sizeof text, "%s\n", token);
  return disk_replace_file(path, slice_of(text), 0600, err) || err_prepend(err, "can't write the operator's token");
}

static bool take_token(const char *text, size_t len, char token[TOKEN_BYTES], const char *from, struct err *err) {
  while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' ')) len--;
  if (len < 8 || len >= TOKEN_BYTES) return err_set(err, "%s: a token has 8 to %d characters", from, TOKEN_BYTES - 1);
  memcpy(token, text, len);
  return true;
}

// From the environment, else from data/operator.token, else a new one there.
static bool load_token(struct engine *e, struct err *err) {
  const char *given = getenv("SLUICE_TOKEN_OPERATOR");
  if (given) return take_token(given, strlen(given), e->app.operator_token, "SLUICE_TOKEN_OPERATOR", err);
  char path[600];
  snprintf(path, sizeof path, "%s/operator.token", e->config.data);
  if (access(path, F_OK) != 0) return make_token(path, e->app.operator_token, err);
  size_t len;
  char *text = disk_read_file(path, 4096, &len, err);
  bool ok = text && take_token(text, len, e->app.operator_token, path, err);
  mem_free(text);
  return ok;
}

static bool open_data(struct engine *e, struct err *err) {
  char folder[600];
  if (!disk_make_folder(e->config.data, err)) return false;
  e->app.store = store_open(e->config.data, err);
  if (!e->app.store || !load_token(e, err)) return false;
  snprintf(folder, sizeof folder, "%s/journal", e->config.data);
  struct journal_options options = {
      .folder = folder, .retention_ms = e->config.retention_ms, .zstd_level = e->config.zstd_level};
  e->app.journal = journal_open(&options, err);
  return e->app.journal != NULL;
}

static bool load_sinks(struct engine *e, struct err *err) {
  struct err some = {0};
  e->app.sinks = sink_set_load(e->config.sinks, &some);
  if (!e->app.sinks) return err_set(err, "%s", some.text);
  if (some.text[0]) log_warn("sinks doing=load%s", log_field("error", some.text));
  return true;
}

static bool start_workers(struct engine *e, struct err *err) {
  struct pool_options options = {.workers = e->config.workers,
                                 .isolated = e->config.isolated,
                                 .limits = {.call_ms = e->config.script_ms, .memory_bytes = e->config.script_bytes}};
  e->app.pool = pool_new(&options, err);
  return e->app.pool != NULL;
}

// On a thread of the journal's.
static void expiring(uint64_t first_kept, void *arg) {
  struct engine *e = arg;
  for (unsigned i = 0; i < e->courier_count; i++) courier_expire(e->couriers[i], first_kept);
}

static bool start_couriers(struct engine *e, struct err *err) {
  e->couriers = mem_zero(e->config.couriers, sizeof(struct courier *));
  if (!e->couriers) return err_set(err, "out of memory");
  e->blocks = shared_blocks_new(e->config.couriers, err);
  if (!e->blocks) return false;
  for (unsigned i = 0; i < e->config.couriers; i++) {
    struct courier_options options = {.journal = e->app.journal, .store = e->app.store, .pool = e->app.pool, .budget = &e->budget, .blocks = e->blocks,
                                      .egress = &e->config.egress, .index = i};
    e->couriers[i] = courier_new(&options, err);
    if (!e->couriers[i]) return false;
    e->courier_count++;
    if (!courier_start(e->couriers[i], err)) return false;
  }
  journal_set_expiring(e->app.journal, expiring, e);
  return true;
}

static bool load_streams(struct engine *e, struct err *err) {
  struct streams_options options = {.loop = e->app.loop, .store = e->app.store, .journal = e->app.journal, .pool = e->app.pool,
                                    .couriers = e->couriers, .courier_count = e->courier_count,
                                    .world = {.sinks = e->app.sinks, .scripts_folder = e->config.scripts, .store = e->app.store}};
  e->app.streams = streams_new(&options, err);
  return e->app.streams && streams_load(e->app.streams, err);
}

static bool watch_files(struct engine *e, struct err *err) {
  struct reload_options options = {.loop = e->app.loop, .pool = e->app.pool, .streams = e->app.streams, .sinks = e->app.sinks,
                                   .scripts_folder = e->config.scripts, .sinks_folder = e->config.sinks};
  e->reload = reload_new(&options, err);
  return e->reload != NULL;
}

static bool listen_http(struct engine *e, struct err *err) {
  struct http_server_options options = {
      .listen = e->config.listen, .max_body = e->config.body_bytes, .handle = app_handle, .arg = &e->app};
  e->server = http_server_new(e->app.loop, &options, err);
  return e->server != NULL;
}

struct engine *engine_start(const struct config *config, struct err *err) {
  struct engine *e = mem_zero(1, sizeof *e);
  if (!e) return err_set(err, "out of memory"), NULL;
  e->config = *config;
  e->budget.limit = config->memory_bytes;
  e->app.budget = &e->budget;
  e->app.max_body = config->body_bytes;
  e->app.scripts_folder = e->config.scripts;
  json_tape_init(&e->app.tape);
  if (sodium_init() < 0) err_set(err, "libsodium can't be used");
  else if ((e->app.loop = loop_new(err)) && load_sinks(e, err) && open_data(e, err) && start_workers(e, err) &&
           start_couriers(e, err) && load_streams(e, err) && watch_files(e, err) && (e->app.desk = work_desk_new(err)) &&
           listen_http(e, err) && (e->trim = trim_start(err))) {
    e->app.ready = true;
    return e;
  }
  engine_stop(e);
  return NULL;
}

int engine_port(const struct engine *engine) {
  return http_server_port(engine->server);
}

struct loop *engine_loop(struct engine *engine) {
  return engine->app.loop;
}

void engine_run(struct engine *engine) {
  loop_run(engine->app.loop);
}

void engine_reload(struct engine *engine) {
  reload_all(engine->reload);
}

static unsigned left_ms(const struct engine *e) {
  uint64_t now = clock_mono_ms();
  return e->stop_by_ms > now ? (unsigned)(e->stop_by_ms - now) : 0;
}

// Requests under way are answered first, within half of the time; one more look after the last, so that the answer itself gets out.
static void await_requests(struct loop_timer *timer) {
  struct engine *e = (struct engine *)((char *)timer - offsetof(struct engine, closing));
  bool busy = http_server_busy(e->server);
  if ((e->closing_done && !busy) || left_ms(e) <= e->stop_ms / 2) {
    loop_stop(e->app.loop);
    return;
  }
  e->closing_done = !busy;
  loop_timer_start(e->app.loop, timer, CLOSING_STEP_US);
}

void engine_interrupt(struct engine *engine, unsigned drain_ms) {
  engine->stop_ms = engine->closing_begun ? 0 : drain_ms;
  engine->stop_by_ms = clock_mono_ms() + engine->stop_ms;
  if (!engine->closing_begun) http_server_drain(engine->server);
  engine->closing_begun = true;
  engine->closing.run = await_requests;
  await_requests(&engine->closing);
}

// Against the road: no more requests, then no more deliveries, then what they stood on.
void engine_stop(struct engine *e) {
  trim_stop(e->trim);
  for (unsigned i = 0; i < e->courier_count; i++) courier_stop(e->couriers[i], left_ms(e));
  journal_close(e->app.journal);
  http_server_free(e->server);
  work_desk_free(e->app.desk);
  store_close(e->app.store); // before the couriers: it still reads what they handed in, and tells their loops
  for (unsigned i = 0; i < e->courier_count; i++) courier_free(e->couriers[i]);
  shared_blocks_free(e->blocks);
  pool_free(e->app.pool);
  reload_free(e->reload);
  streams_free(e->app.streams);
  sink_set_free(e->app.sinks);
  json_tape_fini(&e->app.tape);
  loop_timer_fini(&e->closing);
  loop_free(e->app.loop);
  mem_free(e->couriers);
  mem_free(e);
}
