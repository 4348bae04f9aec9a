// worker.c - the worker's loop: messages in, results out, and how it sleeps in between.
#include "script/worker.h"
#include "base/clock.h"
#include "script/confine.h"
#include "script/lua_state.h"
#include "script/segment.h"
#include "script/worker_check.h"
#include "script/worker_process.h"
#include "script/worker_run.h"
#include "script/worker_trial.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client {
  struct segment_link *words;
  struct ring requests, results;
  uint32_t unwoken; // bytes of results it has not been woken for
  uint64_t woken_ns;
};

struct worker {
  struct segment_words *words;
  struct client clients[LIMIT_POOL_CLIENTS];
  struct shelf shelf;
  struct runner runner;
};

struct job {
  const struct message_job *head;
  struct client *client;
  unsigned client_number;
  uint64_t begun_ns, spent_ns; // when the present program's records began; with the last of them, what they took
};

static void ring_bell(struct worker *w, const struct client *c) {
  ssize_t ignored = write(WORKER_FD_BELLS + (int)(c - w->clients), &(uint64_t){1}, sizeof(uint64_t));
  (void)ignored; // full: it is rung
}

static void wake_client(struct worker *w, struct client *c) {
  c->unwoken = 0;
  c->woken_ns = clock_mono_ns();
  if (atomic_exchange(&c->words->client_sleeps, 0)) ring_bell(w, c);
}

// Sets both flags before it looks: whoever frees room after the look finds them.
static void wait_for_room(struct worker *w, struct client *c, size_t bytes) {
  wake_client(w, c);
  for (;;) {
    atomic_exchange(&w->words->bell, SEGMENT_ASLEEP);
    atomic_exchange(&c->words->worker_waits, 1);
    if (ring_has_room(&c->results, bytes) || atomic_load(&c->words->closed)) break;
    segment_sleep(w->words);
  }
  atomic_exchange(&c->words->worker_waits, 0);
  atomic_exchange(&w->words->bell, SEGMENT_AWAKE);
}

static void write_result(char *to, const struct message_result *head, const struct script_result *result,
                         const struct runner *runner) {
  to = message_append(to, head, sizeof *head);
  to = message_append(to, result->outputs, head->output_count * sizeof *result->outputs);
  to = message_append(to, runner->script.alerts, head->alert_count * sizeof *runner->script.alerts);
  to = message_append(to, result->bytes.at, head->output_bytes);
  to = message_append(to, result->text, head->text_bytes);
  to = message_append(to, runner->log, head->log_bytes);
  message_append(to, runner->script.alert_text, head->alert_error_bytes);
}

static struct message_result describe(const struct job *job, uint32_t index,
                                      const struct script_result *result, const struct runner *runner) {
  bool kept = result->outcome == SCRIPT_KEPT, done = kept || result->outcome == SCRIPT_FILTERED;
  const struct script_result *script = &runner->script;
  struct message_result head = {
      .index = index,
      .job = job->head->number,
      .spent_ns = job->spent_ns,
      .line = result->line,
      .outcome = (uint8_t)result->outcome,
      .output_count = kept ? (uint16_t)result->output_count : 0,
      .output_bytes = kept ? (uint32_t)result->bytes.len : 0,
      .text_bytes = (uint16_t)strnlen(result->text, sizeof result->text),
      .log_bytes = (uint16_t)runner->log_len,
      .alert_count = done ? (uint8_t)script->alert_count : 0,
      .alert_line = script->alert_line,
      .alert_error_bytes = script->alert_failed ? (uint16_t)strnlen(script->alert_text, sizeof script->alert_text) : 0,
  };
  head.bytes = (uint32_t)message_pad(sizeof head + head.output_count * sizeof *result->outputs +
                                     head.alert_count * sizeof *script->alerts + head.output_bytes +
                                     head.text_bytes + head.log_bytes + head.alert_error_bytes);
  return head;
}

// Published at once: should the next record crash the worker, this one's result is there.
static void send_result(struct worker *w, const struct job *job, uint32_t index,
                        const struct script_result *result) {
  struct client *c = job->client;
  struct message_result head = describe(job, index, result, &w->runner);
  assert(head.bytes <= MESSAGE_RESULT_BYTES);
  if (!ring_has_room(&c->results, head.bytes)) wait_for_room(w, c, head.bytes);
  if (atomic_load_explicit(&c->words->closed, memory_order_relaxed)) return;
  write_result(ring_back(&c->results), &head, result, &w->runner);
  ring_advance(&c->results, head.bytes);
  ring_publish(&c->results);
  c->unwoken += head.bytes;
}

// The time is asked for every eighth record only.
static bool wake_is_due(const struct client *c, uint32_t index) {
  return c->unwoken >= LIMIT_WAKE_BYTES ||
         (index % 8 == 7 && clock_mono_ns() - c->woken_ns > LIMIT_WAKE_US * UINT64_C(1000));
}

static void begin_beat(struct worker *w, const struct job *job, uint32_t index) {
  struct segment_beat *beat = &w->words->beat;
  atomic_store_explicit(&beat->job, job->head->number, memory_order_relaxed);
  atomic_store_explicit(&beat->client, job->client_number, memory_order_relaxed);
  atomic_store_explicit(&beat->index, index, memory_order_relaxed);
  uint64_t call = atomic_load_explicit(&beat->call, memory_order_relaxed);
  atomic_store_explicit(&beat->call, call + 1, memory_order_release);
}

static void end_beat(struct worker *w) {
  uint64_t call = atomic_load_explicit(&w->words->beat.call, memory_order_relaxed);
  atomic_store_explicit(&w->words->beat.call, call + 1, memory_order_release);
}

static void take_time(struct job *job, bool more) {
  job->spent_ns = 0;
  if (more) return;
  uint64_t now = clock_mono_ns();
  job->spent_ns = now - job->begun_ns;
  job->begun_ns = now;
}

static void settle(struct worker *w, struct shelf_program *program) {
  shelf_settle(&w->shelf, &program->script);
  shelf_settle(&w->shelf, &program->sink);
}

static struct shelf_program *change_program(struct worker *w, struct shelf_program *from, uint32_t id) {
  if (from && from->id == id) return from;
  struct shelf_program *to = shelf_program(&w->shelf, id);
  assert(to);
  bool same_scripts =
      from && from->script.script == to->script.script && from->sink.script == to->sink.script;
  if (from && !same_scripts) settle(w, from);
  return to;
}

// After its second time-out a script is not run here any more, until the engine forgets the program and tells
// of it again: all that waits for this worker would wait for it.
static const struct script_result *run_record(struct worker *w, struct shelf_program *program,
                                              const struct record_header *header, struct slice bytes) {
  if (program->put_off) return runner_put_off(&w->runner);
  w->runner.script.alert_timed_out = false; // there may be no script
  const struct script_result *result = runner_run(&w->runner, &w->shelf, program, header, bytes);
  bool late = result->outcome == SCRIPT_TIMEOUT || w->runner.script.alert_timed_out;
  if (late && !w->words->patient)
    program->put_off = patience_lost(&program->patience, clock_mono_ms());
  return result;
}

static void run_job(struct worker *w, struct client *c, const struct message_job *head) {
  struct job job = {.head = head, .client = c, .client_number = (unsigned)(c - w->clients)};
  struct shelf_program *program = NULL;
  if (atomic_load_explicit(&c->words->closed, memory_order_relaxed)) return;
  const char *at = (const char *)(head + 1);
  c->woken_ns = job.begun_ns = clock_mono_ns();
  for (uint32_t i = 0; i < head->count; i++) {
    const struct message_record *record = (const void *)at;
    struct slice bytes = slice_make(record + 1, record->header.length);
    program = change_program(w, program, record->program_id);
    begin_beat(w, &job, i);
    const struct script_result *result = run_record(w, program, &record->header, bytes);
    end_beat(w);
    at += message_record_bytes(record->header.length);
    bool more = i + 1 < head->count && ((const struct message_record *)(const void *)at)->program_id == program->id;
    take_time(&job, more);
    send_result(w, &job, i, result);
    if (wake_is_due(c, i)) wake_client(w, c);
  }
  settle(w, program);
}

static void forget(struct worker *w, const struct message_forget *message, unsigned client) {
  const uint32_t *ids = (const uint32_t *)(message + 1);
  for (uint32_t i = 0; i < message->count; i++)
    shelf_forget(&w->shelf, ids[i], client);
}

static void take_message(struct worker *w, struct client *c, const struct message *message) {
  unsigned number = (unsigned)(c - w->clients);
  switch (message->kind) {
  case MESSAGE_SCRIPT:
    shelf_add_script(&w->shelf, (const void *)message);
    break;
  case MESSAGE_PROGRAM:
    shelf_add_program(&w->shelf, (const void *)message, number);
    break;
  case MESSAGE_FORGET:
    forget(w, (const void *)message, number);
    break;
  case MESSAGE_JOB:
    run_job(w, c, (const void *)message);
    break;
  default:
    abort(); // the engine sends no other
  }
}

// Takes messages up to and including one job, so that each client gets its turn. False: there was none.
static bool serve(struct worker *w, struct client *c) {
  bool job_done = false, any = false;
  while (!job_done && ring_ready(&c->requests) > 0) {
    const struct message *message = (const void *)ring_front(&c->requests);
    job_done = message->kind == MESSAGE_JOB;
    take_message(w, c, message);
    ring_consume(&c->requests, message->bytes);
    any = true;
  }
  assert(!c->requests.broken);
  if (!any) return false;
  if (atomic_exchange(&c->words->client_waits, 0)) ring_bell(w, c);
  if (job_done) wake_client(w, c);
  return true;
}

// Memory of a client's rings is mapped when it is there: most places stay empty for ever.
static void open_client(struct worker *w, unsigned number) {
  struct client *c = &w->clients[number];
  if (c->words) return;
  if (!segment_map_requests(&c->requests, w->words, WORKER_FD_MEMORY, number) ||
      !segment_map_results(&c->results, w->words, WORKER_FD_MEMORY, number))
    _exit(70);
  c->words = &w->words->links[number];
}

static bool serve_all(struct worker *w) {
  bool any = false;
  uint32_t count = atomic_load_explicit(&w->words->link_count, memory_order_acquire);
  for (unsigned i = 0; i < count && i < LIMIT_POOL_CLIENTS; i++) {
    open_client(w, i);
    any |= serve(w, &w->clients[i]);
  }
  return any;
}

static void work(struct worker *w) {
  for (;;) {
    if (serve_all(w)) continue;
    atomic_exchange(&w->words->bell, SEGMENT_ASLEEP);
    if (!serve_all(w)) segment_sleep(w->words);
    atomic_exchange(&w->words->bell, SEGMENT_AWAKE);
  }
}

static int worker_run(void) {
  static struct worker worker;
  struct worker *w = &worker;
  struct err err = {0};
  w->words = segment_map(WORKER_FD_MEMORY, &err);
  if (!w->words) {
    fprintf(stderr, "sluice worker: started by the engine only: %s\n", err.text);
    return 2;
  }
  shelf_init(&w->shelf, &w->words->limits, LIMIT_WORKER_BYTES);
  runner_init(&w->runner);
  w->shelf.log = runner_log;
  w->shelf.log_arg = &w->runner;
  if (!confine(&(struct confine){w->words->engine, w->words->user, WORKER_FDS}, &err)) {
    snprintf(w->words->reason, sizeof w->words->reason, "%.*s", (int)sizeof w->words->reason - 1, err.text);
    return 1;
  }
  lua_state_count_calls(&w->words->beat.part);
  atomic_store(&w->words->ready, 1);
  work(w);
  return 0;
}

int worker_main(int argc, char **argv) {
  // argv[0] is the program, argv[1] "worker".
  if (argc > 2 && strcmp(argv[2], "check") == 0)
    return worker_check_main(WORKER_FD_MEMORY, WORKER_FD_MEMORY + 1);
  if (argc > 2 && strcmp(argv[2], "try") == 0)
    return worker_trial_main(WORKER_FD_MEMORY, WORKER_FD_MEMORY + 1);
  return worker_run();
}
