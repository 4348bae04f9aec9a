// pool_trial.c - throw-away workers that the watch thread starts and ends, and what they leave behind: copied
// once, then checked.
#include "script/pool_trial.h"
#include "base/clock.h"
#include "base/mem.h"
#include "script/pool_private.h"
#include "script/worker_trial.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void pool_trials_init(struct pool *pool) {
  struct pool_trials *trials = &pool->trials;
  trials->last = &trials->first;
  for (int i = 0; i < LIMIT_TRIALS; i++)
    trials->runs[i].pidfd = trials->runs[i].sheet_fd = -1;
}

static void run_done(struct loop_task *task) {
  struct pool_trial *trial = (struct pool_trial *)((char *)task - offsetof(struct pool_trial, task));
  trial->done(trial);
}

void pool_trial(struct pool *pool, struct pool_trial *trial) {
  assert(trial->count <= LIMIT_TRIAL_RECORDS);
  trial->end = POOL_TRIAL_FAILED;
  trial->err = (struct err){0};
  trial->results = trial->memory = NULL;
  trial->broke = false;
  trial->at = 0;
  trial->next = NULL;
  trial->task.run = run_done;
  pthread_mutex_lock(&pool->lock);
  *pool->trials.last = trial;
  pool->trials.last = &trial->next;
  pthread_mutex_unlock(&pool->lock);
  pool_wake_watch(pool);
}

void pool_trial_fini(struct pool_trial *trial) {
  mem_free(trial->results);
  mem_free(trial->memory);
  trial->results = trial->memory = NULL;
}

static void finish(struct pool_trial *trial, enum pool_trial_end end) {
  trial->end = end;
  if (end != POOL_TRIAL_DONE) pool_trial_fini(trial);
  loop_post(trial->loop, &trial->task);
}

// ---- starting ----

static struct pool_trial *take_waiting(struct pool *pool) {
  struct pool_trials *trials = &pool->trials;
  pthread_mutex_lock(&pool->lock);
  struct pool_trial *trial = trials->first;
  if (trial) trials->first = trial->next;
  if (!trials->first) trials->last = &trials->first;
  pthread_mutex_unlock(&pool->lock);
  return trial;
}

static void clear_run(struct trial_run *run) {
  trial_sheet_free(run->sheet, run->sheet_fd);
  if (run->pidfd >= 0) close(run->pidfd);
  *run = (struct trial_run){.pidfd = -1, .sheet_fd = -1};
}

// False: no room.
static bool put(struct trial_sheet *sheet, uint32_t *used, struct slice text, struct trial_text *out) {
  if (text.len > sizeof sheet->input - *used) return false;
  if (text.len) memcpy(sheet->input + *used, text.at, text.len);
  *out = (struct trial_text){*used, (uint32_t)text.len};
  *used += (uint32_t)text.len;
  return true;
}

static bool put_program(struct trial_sheet *sheet, uint32_t *used, const struct program *p) {
  return put(sheet, used, slice_of(p->script_name), &sheet->script_name) &&
         put(sheet, used, p->script, &sheet->script) && put(sheet, used, p->context, &sheet->context) &&
         put(sheet, used, slice_of(p->sink_name), &sheet->sink_name) &&
         put(sheet, used, p->sink, &sheet->sink) && put(sheet, used, p->sink_context, &sheet->sink_context);
}

static bool put_records(struct trial_sheet *sheet, uint32_t *used, const struct pool_trial *trial) {
  struct trial_text place = {0};
  for (uint32_t i = 0; i < trial->count; i++) {
    if (!put(sheet, used, trial->records[i].bytes, &place)) return false;
    sheet->records[i] = trial->records[i].header;
    sheet->records[i].offset = place.at;
    sheet->records[i].length = place.len;
  }
  sheet->count = trial->count;
  return true;
}

static bool start_run(struct pool *pool, struct trial_run *run, struct pool_trial *trial) {
  uint32_t used = 0;
  run->sheet = trial_sheet_new(&run->sheet_fd, &trial->err);
  if (!run->sheet) return false;
  run->sheet->limits = pool->limits;
  run->sheet->limits.processor_time = true; // a busy machine fails no good script
  run->sheet->user = pool_user(pool, POOL_WORKERS + 1 + LIMIT_CHECKS + (unsigned)(run - pool->trials.runs));
  if (!put_program(run->sheet, &used, trial->program) || !put_records(run->sheet, &used, trial))
    return err_set(&trial->err, "the script and its records are longer than a trial takes");
  struct worker_start start = {
      .executable = pool->executable, .mode = "try", .fds = &run->sheet_fd, .fd_count = 1};
  run->pid = worker_start(&start, &run->pidfd, &trial->err);
  run->begun_ms = run->seen_ms = clock_mono_ms();
  return run->pid > 0;
}

void pool_trials_start(struct pool *pool) {
  for (int i = 0; i < LIMIT_TRIALS; i++) {
    struct trial_run *run = &pool->trials.runs[i];
    struct pool_trial *trial;
    while (!run->trial && (trial = take_waiting(pool))) {
      if (start_run(pool, run, trial)) {
        run->trial = trial;
      } else {
        clear_run(run);
        finish(trial, POOL_TRIAL_FAILED);
      }
    }
  }
}

nfds_t pool_trials_fds(const struct pool *pool, struct pollfd *fds, uint64_t *deadline_ms) {
  nfds_t count = 0;
  uint64_t look_ms = clock_mono_ms() + LIMIT_WORKER_TICK_MS;
  for (int i = 0; i < LIMIT_TRIALS; i++) {
    const struct trial_run *run = &pool->trials.runs[i];
    if (!run->trial) continue;
    fds[count++] = (struct pollfd){.fd = run->pidfd, .events = POLLIN};
    if (look_ms < *deadline_ms) *deadline_ms = look_ms;
  }
  return count;
}

// ---- what a worker left behind: all of it may be hostile ----

struct reading {
  struct trial_run *run;
  struct pool_trial *trial;
  uint32_t byte_counts[LIMIT_TRIAL_RECORDS];
  size_t output_count; // of all records
  uint64_t used;       // of the sheet's output
  struct json_tape tape;
};

static void take_text(char *to, size_t room, const char *from, size_t len) {
  len = strnlen(from, len < room - 1 ? len : room - 1);
  memcpy(to, from, len);
  to[len] = 0;
  pool_clean(to, len);
}

static bool take_alert(const struct script_alert *from, struct script_alert *to) {
  *to = *from;
  unsigned severity;
  memcpy(&severity, &from->severity, sizeof severity);
  if (severity > SCRIPT_CRITICAL) return false;
  take_text(to->key, sizeof to->key, from->key, sizeof from->key);
  take_text(to->title, sizeof to->title, from->title, sizeof from->title);
  return true;
}

static bool take_alerts(const struct trial_note *note, struct pool_trial_result *to) {
  if (note->alert_count > SCRIPT_ALERTS) return false;
  for (uint32_t i = 0; i < note->alert_count; i++)
    if (!take_alert(&note->alerts[i], &to->alerts[i])) return false;
  to->alert_count = note->alert_count;
  to->alert_failed = note->alert_failed != 0;
  to->alert_line = note->alert_line;
  take_text(to->alert_text, sizeof to->alert_text, note->alert_text, sizeof note->alert_text);
  return true;
}

static void take_log(const struct trial_note *note, struct pool_trial_result *to) {
  to->log_bytes = note->log_bytes;
  memcpy(to->log, note->log, note->log_bytes);
  pool_clean_lines(to->log, to->log_bytes);
}

// All of a note but its outputs. Where those lie is not its to choose: behind those of the note before.
static bool take_note(struct reading *r, uint32_t i) {
  struct trial_note note;
  struct pool_trial_result *to = &r->trial->results[i];
  memcpy(&note, &r->run->sheet->notes[i], sizeof note);
  bool kept = note.outcome == SCRIPT_KEPT;
  if (note.outcome > SCRIPT_MEMORY || note.log_bytes > sizeof note.log || note.at != r->used ||
      note.output_count > SCRIPT_OUTPUTS || note.mapped_count > SCRIPT_OUTPUTS ||
      (!kept && (note.output_count || note.mapped_count)) || !take_alerts(&note, to))
    return false;
  size_t count = (size_t)note.output_count + note.mapped_count;
  uint64_t len = count * sizeof(struct script_output) + note.byte_count;
  if (len > sizeof r->run->sheet->output - r->used) return false;
  r->used += (len + 7) & ~UINT64_C(7);
  r->output_count += count;
  r->byte_counts[i] = note.byte_count;
  to->tried = true;
  to->outcome = (enum script_outcome)note.outcome;
  to->line = note.line;
  to->output_count = note.output_count;
  to->mapped_count = note.mapped_count;
  take_text(to->text, sizeof to->text, note.text, sizeof note.text);
  take_log(&note, to);
  return true;
}

static bool take_output(const struct script_output *o, struct slice bytes, struct pool_output *to) {
  if (o->body_at > bytes.len || o->body_len > bytes.len - o->body_at) return false;
  if (o->key_at > bytes.len || o->key_len > bytes.len - o->key_at) return false;
  *to = (struct pool_output){.body = slice_make(bytes.at + o->body_at, o->body_len),
                             .key = slice_make(bytes.at + o->key_at, o->key_len)};
  return true;
}

// From the private copy, which begins with the outputs of the record. The script's are spliced into answers.
static bool take_outputs(struct reading *r, const char *copy, uint32_t i, struct pool_output *to) {
  struct pool_trial_result *result = &r->trial->results[i];
  const struct script_output *outputs = (const void *)copy;
  uint32_t count = result->output_count + result->mapped_count;
  struct slice bytes = slice_make(copy + count * sizeof *outputs, r->byte_counts[i]);
  struct json_fault fault;
  for (uint32_t k = 0; k < count; k++) {
    if (!take_output(&outputs[k], bytes, &to[k])) return false;
    if (k < result->output_count && !json_tape_parse(&r->tape, to[k].body, &fault)) return false;
  }
  result->outputs = to;
  result->mapped = to + result->output_count;
  return true;
}

static size_t room_of(const struct reading *r, uint32_t i) {
  const struct pool_trial_result *result = &r->trial->results[i];
  size_t table = (result->output_count + result->mapped_count) * sizeof(struct script_output);
  return (table + r->byte_counts[i] + 7) & ~(size_t)7;
}

// The first `count` records' notes, as far as they are right. Returns how many that is; false: out of memory.
static bool take_notes(struct reading *r, uint32_t count, uint32_t *taken) {
  uint32_t i = 0, whole = 0;
  struct pool_trial *trial = r->trial;
  while (i < count && take_note(r, i))
    i++;
  char *copy = trial->memory = mem_alloc(r->used + r->output_count * sizeof(struct pool_output) + 1);
  if (!copy) return false;
  memcpy(copy, r->run->sheet->output, r->used);
  struct pool_output *outputs = (void *)(copy + r->used);
  for (; whole < i && take_outputs(r, copy, whole, outputs); whole++) {
    outputs += trial->results[whole].output_count + trial->results[whole].mapped_count;
    copy += room_of(r, whole);
  }
  *taken = whole;
  return true;
}

static void blame(struct pool_trial *trial, uint32_t at, const char *why) {
  trial->broke = true;
  trial->at = at;
  for (uint32_t i = at; i < trial->count; i++) {
    struct pool_trial_result *result = &trial->results[i];
    *result = (struct pool_trial_result){.outcome = SCRIPT_FAILED, .tried = i == at};
    if (i == at)
      snprintf(result->text, sizeof result->text, "the script %s", why);
    else
      snprintf(result->text, sizeof result->text, "not tried: the script %s on record %u of these", why,
               at + 1);
  }
}

static bool take_results(struct trial_run *run, const char *why) {
  struct pool_trial *trial = run->trial;
  struct reading r = {.run = run, .trial = trial};
  uint32_t done = atomic_load(&run->sheet->done), taken = 0;
  if (done > trial->count) done = 0;
  trial->results = mem_zero(trial->count + 1, sizeof *trial->results);
  json_tape_init(&r.tape);
  bool ok = trial->results && take_notes(&r, done, &taken);
  json_tape_fini(&r.tape);
  if (!ok) return err_set(&trial->err, "out of memory");
  if (taken < done)
    blame(trial, taken, "made its worker send nonsense");
  else if (done < trial->count)
    blame(trial, done, why);
  return true;
}

// ---- ending ----

static void end_loading(struct trial_run *run, const char *why) {
  struct pool_trial *trial = run->trial;
  if (atomic_load(&run->sheet->loaded) == TRIAL_REFUSED) {
    take_text(trial->err.text, sizeof trial->err.text, run->sheet->err.text, sizeof run->sheet->err.text);
  } else {
    err_set(&trial->err, "%s: the script %s when it was loaded",
            trial->program->script_name ? trial->program->script_name : "script", why);
  }
  finish(trial, POOL_TRIAL_REFUSED);
}

static uint32_t call_ms(const struct pool *pool) {
  return pool->limits.call_ms ? pool->limits.call_ms : LIMIT_SCRIPT_MS;
}

// One record: a state may be loaded anew, for the script and for the sink, and each has its call.
static bool is_stuck(const struct pool *pool, struct trial_run *run, uint64_t now_ms, uint64_t cpu_ms) {
  uint32_t loaded = atomic_load(&run->sheet->loaded), done = atomic_load(&run->sheet->done);
  if (loaded != run->seen_loaded || done != run->seen_done) {
    run->seen_loaded = loaded;
    run->seen_done = done;
    run->seen_ms = now_ms;
    run->seen_cpu_ms = cpu_ms;
  }
  uint64_t limit = loaded ? 5 * (uint64_t)call_ms(pool) : LIMIT_CHECK_MS;
  return cpu_ms - run->seen_cpu_ms >= limit || now_ms - run->seen_ms >= 10 * limit;
}

// By its own processor time, lest a busy machine spoil it; by some times that on the clock for one that
// sleeps. Only that it goes on is the worker's word.
static bool is_late(const struct pool *pool, struct trial_run *run) {
  uint64_t now_ms = clock_mono_ms(), cpu_ms = worker_cpu_ns(run->pid) / 1000000;
  uint64_t most_ms = LIMIT_TRIAL_MS + (uint64_t)call_ms(pool) * run->trial->count;
  return is_stuck(pool, run, now_ms, cpu_ms) || cpu_ms >= most_ms || now_ms - run->begun_ms >= 3 * most_ms;
}

static void judge(int status, bool killed, char *why, size_t room) {
  if (killed)
    snprintf(why, room, "took too long and was ended");
  else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    snprintf(why, room, "was ended from outside");
  else if (WIFSIGNALED(status))
    snprintf(why, room, "crashed its worker (signal %d)", WTERMSIG(status));
  else
    snprintf(why, room, "ended its worker");
}

static void end_run(struct pool *pool, struct trial_run *run) {
  struct pollfd ended = {.fd = run->pidfd, .events = POLLIN};
  char why[64];
  int status = 0;
  bool has_ended = poll(&ended, 1, 0) > 0;
  if (!has_ended && !is_late(pool, run)) return;
  if (!has_ended) kill(run->pid, SIGKILL); // not reaped yet, so the number is still its own
  waitpid(run->pid, &status, 0);
  judge(status, !has_ended, why, sizeof why);
  if (atomic_load(&run->sheet->loaded) != TRIAL_ACCEPTED)
    end_loading(run, why);
  else
    finish(run->trial, take_results(run, why) ? POOL_TRIAL_DONE : POOL_TRIAL_FAILED);
  clear_run(run);
}

void pool_trials_end(struct pool *pool) {
  for (int i = 0; i < LIMIT_TRIALS; i++)
    if (pool->trials.runs[i].trial) end_run(pool, &pool->trials.runs[i]);
}

void pool_trials_fini(struct pool *pool) {
  for (int i = 0; i < LIMIT_TRIALS; i++) {
    struct trial_run *run = &pool->trials.runs[i];
    if (run->trial) {
      kill(run->pid, SIGKILL);
      waitpid(run->pid, NULL, 0);
    }
    clear_run(run);
  }
}
