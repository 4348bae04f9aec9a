// pool_check.c - scripts compiled in throw-away workers, which the watch thread starts and ends.
#include "base/clock.h"
#include "script/pool_private.h"
#include "script/worker_check.h"

#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void pool_checks_init(struct pool *pool) {
  struct pool_checks *checks = &pool->checks;
  checks->last = &checks->first;
  for (int i = 0; i < LIMIT_CHECKS; i++)
    checks->runs[i].pidfd = checks->runs[i].sheet_fd = -1;
}

static void run_check_done(struct loop_task *task) {
  struct pool_check *check = (struct pool_check *)((char *)task - offsetof(struct pool_check, task));
  check->done(check);
}

void pool_check(struct pool *pool, struct pool_check *check) {
  check->ok = false;
  check->err = (struct err){0};
  check->next = NULL;
  check->task.run = run_check_done;
  pthread_mutex_lock(&pool->lock);
  *pool->checks.last = check;
  pool->checks.last = &check->next;
  pthread_mutex_unlock(&pool->lock);
  pool_wake_watch(pool);
}

static void finish(struct pool_check *check) {
  loop_post(check->loop, &check->task);
}

static void refuse(struct pool_check *check, const char *why) {
  check->ok = false;
  err_set(&check->err, "%s: %s", check->name, why);
  finish(check);
}

// ---- scripts that were accepted before ----

static void digest(const struct pool_check *check, unsigned char out[SHA256_DIGEST_LENGTH]) {
  SHA256((const unsigned char *)check->source.at, check->source.len, out);
  out[0] ^= (unsigned char)check->role;
}

static bool is_known(const struct pool_checks *checks, struct pool_check *check) {
  unsigned char wanted[SHA256_DIGEST_LENGTH];
  digest(check, wanted);
  for (int i = 0; i < LIMIT_CHECKS_KNOWN; i++) {
    const struct check_known *known = &checks->known[i];
    if (!known->used || memcmp(known->digest, wanted, sizeof wanted) != 0) continue;
    check->facts = known->facts;
    return check->ok = true;
  }
  return false;
}

static void remember(struct pool_checks *checks, const struct pool_check *check) {
  struct check_known *known = &checks->known[checks->next_known++ % LIMIT_CHECKS_KNOWN];
  *known = (struct check_known){.facts = check->facts, .used = true};
  digest(check, known->digest);
}

// ---- starting ----

static struct pool_check *take_waiting(struct pool *pool) {
  struct pool_checks *checks = &pool->checks;
  pthread_mutex_lock(&pool->lock);
  struct pool_check *check = checks->first;
  if (check) checks->first = check->next;
  if (!checks->first) checks->last = &checks->first;
  pthread_mutex_unlock(&pool->lock);
  return check;
}

static void clear_run(struct check_run *run) {
  check_sheet_free(run->sheet, run->sheet_fd);
  if (run->pidfd >= 0) close(run->pidfd);
  *run = (struct check_run){.pidfd = -1, .sheet_fd = -1};
}

static bool start_run(struct pool *pool, struct check_run *run, struct pool_check *check) {
  run->sheet = check_sheet_new(&run->sheet_fd, &check->err);
  if (!run->sheet) return false;
  struct check_sheet *sheet = run->sheet;
  sheet->limits = pool->limits;
  sheet->limits.processor_time = true; // a busy machine refuses no good script
  sheet->user = pool_user(pool, POOL_WORKERS + 1 + (unsigned)(run - pool->checks.runs));
  sheet->role = check->role;
  sheet->source_bytes = (uint32_t)check->source.len;
  snprintf(sheet->name, sizeof sheet->name, "%s", check->name);
  if (check->source.len) memcpy(sheet->source, check->source.at, check->source.len);
  struct worker_start start = {
      .executable = pool->executable, .mode = "check", .fds = &run->sheet_fd, .fd_count = 1};
  run->pid = worker_start(&start, &run->pidfd, &check->err);
  run->begun_ms = clock_mono_ms();
  run->deadline_ms = run->begun_ms + LIMIT_CHECK_MS;
  return run->pid > 0;
}

static void start(struct pool *pool, struct check_run *run, struct pool_check *check) {
  if (check->source.len > LIMIT_SCRIPT_SOURCE_BYTES) {
    char why[64];
    snprintf(why, sizeof why, "longer than %d bytes", LIMIT_SCRIPT_SOURCE_BYTES);
    refuse(check, why);
  } else if (is_known(&pool->checks, check)) {
    finish(check);
  } else if (start_run(pool, run, check)) {
    run->check = check;
  } else {
    clear_run(run);
    finish(check);
  }
}

void pool_checks_start(struct pool *pool) {
  for (int i = 0; i < LIMIT_CHECKS; i++) {
    struct check_run *run = &pool->checks.runs[i];
    struct pool_check *check;
    while (!run->check && (check = take_waiting(pool)))
      start(pool, run, check);
  }
}

nfds_t pool_checks_fds(const struct pool *pool, struct pollfd *fds, uint64_t *deadline_ms) {
  nfds_t count = 0;
  for (int i = 0; i < LIMIT_CHECKS; i++) {
    const struct check_run *run = &pool->checks.runs[i];
    if (!run->check) continue;
    fds[count++] = (struct pollfd){.fd = run->pidfd, .events = POLLIN};
    if (run->deadline_ms < *deadline_ms) *deadline_ms = run->deadline_ms;
  }
  return count;
}

// ---- ending ----

// The sheet may be hostile: numbers are held in their ranges, words are made presentable.
static bool truth(const bool *at) {
  unsigned char byte;
  memcpy(&byte, at, 1);
  return byte != 0;
}

static void read_facts(const struct check_sheet *sheet, struct script_facts *out) {
  const uint32_t most = sizeof out->event_types / sizeof out->event_types[0];
  memcpy(out, &sheet->facts, sizeof *out);
  out->has_filter = truth(&out->has_filter);
  out->has_map = truth(&out->has_map);
  out->has_alert = truth(&out->has_alert);
  if (out->event_type_count > most) out->event_type_count = most;
}

static void read_error(const struct check_sheet *sheet, struct err *out) {
  memcpy(out->text, sheet->err.text, sizeof out->text);
  out->text[sizeof out->text - 1] = 0;
  pool_clean(out->text, strlen(out->text));
}

static void read_answer(struct pool *pool, struct check_run *run) {
  struct pool_check *check = run->check;
  uint32_t answered = atomic_load(&run->sheet->answered);
  if (answered == CHECK_ACCEPTED) {
    read_facts(run->sheet, &check->facts);
    check->ok = true;
    remember(&pool->checks, check);
    finish(check);
  } else if (answered == CHECK_REFUSED) {
    read_error(run->sheet, &check->err);
    finish(check);
  } else {
    refuse(check, "the script crashed the compiler");
  }
}

// By its own processor time, lest a busy machine refuse a good script; by ten times the wall clock for one
// that sleeps.
static bool is_late(struct check_run *run) {
  uint64_t now_ms = clock_mono_ms(), used_ms = worker_cpu_ns(run->pid) / 1000000;
  if (now_ms < run->deadline_ms) return false;
  if (used_ms >= LIMIT_CHECK_MS || now_ms - run->begun_ms >= 10 * LIMIT_CHECK_MS) return true;
  run->deadline_ms = now_ms + LIMIT_CHECK_MS - used_ms;
  return false;
}

static void end_run(struct pool *pool, struct check_run *run) {
  struct pollfd ended = {.fd = run->pidfd, .events = POLLIN};
  bool has_ended = poll(&ended, 1, 0) > 0;
  if (!has_ended && !is_late(run)) return;
  if (!has_ended) kill(run->pid, SIGKILL); // not reaped yet, so the number is still its own
  waitpid(run->pid, NULL, 0);
  if (has_ended) {
    read_answer(pool, run);
  } else {
    refuse(run->check, "the script took too long to compile");
  }
  clear_run(run);
}

void pool_checks_end(struct pool *pool) {
  for (int i = 0; i < LIMIT_CHECKS; i++)
    if (pool->checks.runs[i].check) end_run(pool, &pool->checks.runs[i]);
}

void pool_checks_fini(struct pool *pool) {
  for (int i = 0; i < LIMIT_CHECKS; i++) {
    struct check_run *run = &pool->checks.runs[i];
    if (run->check) {
      kill(run->pid, SIGKILL);
      waitpid(run->pid, NULL, 0);
    }
    clear_run(run);
  }
}
