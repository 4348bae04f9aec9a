// pool.c - the pool and its watch thread, which starts workers, replaces those that end, and kills those that
// are stuck.
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/confine.h"
#include "script/pool_private.h"
#include "script/shared_file.h"

#include <errno.h>
#include <unistd.h>

enum { IDLE_TICKS = 50 }; // without a job, after which the watch thread sleeps

struct watcher {
  uint64_t looked_ms; // at the calls
  unsigned idle_ticks;
};

// ---- bells ----

static void ring(int fd) {
  ssize_t ignored = write(fd, &(uint64_t){1}, sizeof(uint64_t));
  (void)ignored; // full: it is readable
}

static void ring_clients(struct pool *pool) {
  unsigned count = atomic_load(&pool->clients);
  for (unsigned i = 0; i < count && i < LIMIT_POOL_CLIENTS; i++)
    ring(pool->bells[i]);
}

void pool_wake_watch(struct pool *pool) {
  ring(pool->watch_fd);
}

void pool_want_worker(struct pool *pool, unsigned worker) {
  if (!atomic_exchange(&pool->workers[worker].wanted, true)) pool_wake_watch(pool);
}

void pool_job_begins(struct pool *pool, unsigned worker) {
  atomic_fetch_add(&pool->workers[worker].outstanding, 1);
  if (atomic_load(&pool->watch_sleeps) && atomic_exchange(&pool->watch_sleeps, 0)) pool_wake_watch(pool);
}

struct worker_process *pool_process(struct pool *pool, unsigned worker, unsigned *generation) {
  struct pool_worker *w = &pool->workers[worker];
  pthread_mutex_lock(&pool->lock);
  struct worker_process *process = w->process;
  if (process) {
    worker_process_ref(process);
    atomic_store(&process->words->link_count, atomic_load(&pool->clients));
  }
  *generation = atomic_load(&w->generation);
  pthread_mutex_unlock(&pool->lock);
  return process;
}

// ---- the watch thread: starts workers, ----

static void set_process(struct pool *pool, struct pool_worker *w, struct worker_process *process) {
  pthread_mutex_lock(&pool->lock);
  w->process = process;
  atomic_fetch_add(&w->generation, 1);
  pthread_mutex_unlock(&pool->lock);
}

static bool start_worker(struct pool *pool, unsigned number, struct err *err) {
  struct pool_worker *w = &pool->workers[number];
  struct worker_wish wish = {.executable = pool->executable,
                             .limits = pool->limits,
                             .bells = pool->bells,
                             .user = pool_user(pool, number),
                             .patient = pool_is_patient(pool, number),
                             .slow = number == pool_penalty_worker(pool)};
  struct worker_process *process = worker_process_new(&wish, err);
  set_process(pool, w, process);
  w->call = w->part = (struct pool_look){0};
  w->idle_ms = clock_mono_ms();
  w->start_again_ms = process ? 0 : clock_mono_ms() + LIMIT_WORKER_AGAIN_MS;
  return process != NULL;
}

static bool await_worker(const struct worker_process *process, struct err *err) {
  uint64_t deadline = clock_mono_ms() + LIMIT_WORKER_START_MS;
  struct pollfd ended = {.fd = process->pidfd, .events = POLLIN};
  while (!atomic_load(&process->words->ready)) {
    if (poll(&ended, 1, 1) > 0) {
      const char *reason = process->words->reason;
      int shown = (int)strnlen(reason, sizeof process->words->reason);
      return err_set(err, "a worker ended at its start: %.*s", shown, shown ? reason : "");
    }
    if (clock_mono_ms() > deadline)
      return err_set(err, "a worker is not ready after %d ms", LIMIT_WORKER_START_MS);
  }
  return true;
}

static bool start_all(struct pool *pool, struct err *err) {
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (atomic_load(&pool->workers[i].wanted) && !start_worker(pool, i, err)) return false;
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (pool->workers[i].process && !await_worker(pool->workers[i].process, err)) return false;
  return true;
}

// ---- replaces those that ended, ----

// One that did not even get ready would only fail again at once.
static void replace_worker(struct pool *pool, unsigned number) {
  struct pool_worker *w = &pool->workers[number];
  struct worker_process *old = w->process;
  worker_process_reap(old);
  bool was_ready = atomic_load(&old->words->ready);
  log_warn("worker=%u pid=%d doing=restart%s", number, (int)old->pid, log_field("reason", old->why));
  struct err err = {0};
  if (!was_ready) {
    set_process(pool, w, NULL);
    w->start_again_ms = clock_mono_ms() + LIMIT_WORKER_AGAIN_MS;
  } else if (start_worker(pool, number, &err)) {
    atomic_fetch_add(&pool->restarts, 1);
  } else {
    log_error("worker=%u doing=restart%s", number, log_field("error", err.text));
  }
  worker_process_unref(old);
  ring_clients(pool);
}

static void start_missing(struct pool *pool) {
  for (unsigned i = 0; i < pool->worker_count; i++) {
    struct pool_worker *w = &pool->workers[i];
    struct err err = {0};
    if (w->process || !atomic_load(&w->wanted) || clock_mono_ms() < w->start_again_ms) continue;
    bool first = atomic_load(&w->generation) == 0;
    if (start_worker(pool, i, &err)) {
      if (!first) atomic_fetch_add(&pool->restarts, 1);
      ring_clients(pool);
    } else {
      log_error("worker=%u doing=restart%s", i, log_field("error", err.text));
    }
  }
}

// ---- ends those that were started on demand and are idle, ----

static bool is_on_demand(const struct pool *pool, unsigned number) {
  return pool->isolated || number == pool_penalty_worker(pool);
}

// When to look; UINT64_MAX: it stays, or has no process.
static uint64_t rest_ms(const struct pool *pool, unsigned number) {
  const struct pool_worker *w = &pool->workers[number];
  if (!is_on_demand(pool, number) || !w->process || !w->idle_ms) return UINT64_MAX;
  if (number != pool_penalty_worker(pool) && !atomic_load(&w->streams))
    return 0; // before it is another organisation's
  return w->idle_ms + LIMIT_WORKER_IDLE_MS;
}

// A job that a client begins meanwhile ends as lost, and its worker is wanted again.
static void end_worker(struct pool *pool, unsigned number) {
  struct pool_worker *w = &pool->workers[number];
  struct worker_process *process = w->process;
  atomic_store(&w->wanted, false);
  process->resting = true;
  worker_process_kill(process);
  worker_process_reap(process);
  log_info("worker=%u pid=%d doing=rest reason=\"%s\"", number, (int)process->pid, process->why);
  set_process(pool, w, NULL);
  w->start_again_ms = 0;
  worker_process_unref(process);
}

static void end_idle(struct pool *pool) {
  bool any = false;
  for (unsigned i = 0; i < pool->worker_count; i++) {
    if (clock_mono_ms() < rest_ms(pool, i) || atomic_load(&pool->workers[i].outstanding)) continue;
    end_worker(pool, i);
    any = true;
  }
  if (any) ring_clients(pool);
}

// ---- and looks at the calls that run. ----

static void look(struct pool_look *look, uint64_t now, bool idle, uint64_t cpu_ns, uint64_t passed_ms) {
  look->same_ms += passed_ms;
  if (now == look->seen && !idle) return;
  *look = (struct pool_look){.seen = now, .cpu_ns = cpu_ns};
}

// By the worker's own processor time, so that a busy machine makes nobody guilty; by ten times that on the
// clock for one that sleeps, but for the penalty worker, whom others may keep waiting. Only that the word is
// the same is the worker's, never for how long.
static bool is_over(const struct pool_look *look, uint64_t limit_ms, uint64_t cpu_ns, bool penalty) {
  return cpu_ns - look->cpu_ns >= limit_ms * 1000000u || (!penalty && look->same_ms >= 10 * limit_ms);
}

// A hook has its time and a little more; a record a few times that, for alert, filter with map, and the sink.
static bool is_stuck(const struct pool *pool, const struct pool_worker *w, uint64_t cpu_ns) {
  enum { HOOKS = 3 };
  bool penalty = w == &pool->workers[pool_penalty_worker(pool)];
  uint64_t hook_ms = pool->limits.call_ms ? pool->limits.call_ms : LIMIT_SCRIPT_MS;
  if (w->call.same_ms >= LIMIT_WORKER_SILENT_MS + HOOKS * hook_ms) return true;
  return w->call.seen % 2 && (is_over(&w->part, hook_ms + LIMIT_WORKER_STUCK_MS, cpu_ns, penalty) ||
                              is_over(&w->call, HOOKS * hook_ms + LIMIT_WORKER_STUCK_MS, cpu_ns, penalty));
}

static void look_at(struct pool *pool, struct pool_worker *w, uint64_t passed_ms) {
  struct worker_process *process = w->process;
  if (!process || process->stuck) return;
  uint64_t call = atomic_load_explicit(&process->words->beat.call, memory_order_acquire);
  uint64_t part = atomic_load_explicit(&process->words->beat.part, memory_order_relaxed);
  uint64_t cpu_ns = worker_cpu_ns(process->pid);
  bool idle = atomic_load(&w->outstanding) == 0;
  w->idle_ms = !idle ? 0 : w->idle_ms ? w->idle_ms : clock_mono_ms();
  look(&w->part, part, idle || call != w->call.seen, cpu_ns, passed_ms);
  look(&w->call, call, idle, cpu_ns, passed_ms);
  if (!is_stuck(pool, w, cpu_ns)) return;
  process->stuck = true;
  process->stuck_call = call;
  atomic_fetch_add(&pool->kills, 1);
  worker_process_kill(process);
}

static bool any_outstanding(const struct pool *pool) {
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (atomic_load(&pool->workers[i].outstanding)) return true;
  return false;
}

// Time in which this thread did not look (it slept, or the machine did) is not held against a call.
static uint64_t passed_ms(uint64_t *looked_ms) {
  uint64_t now = clock_mono_ms(), passed = now - *looked_ms;
  *looked_ms = now;
  return passed < 2 * LIMIT_WORKER_TICK_MS ? passed : 2 * LIMIT_WORKER_TICK_MS;
}

// Whether the calls must be looked at again in a tick. Says that it sleeps before it looks once more, as a
// worker does.
static bool look_at_all(struct pool *pool, struct watcher *watcher) {
  uint64_t passed = passed_ms(&watcher->looked_ms);
  for (unsigned i = 0; i < pool->worker_count; i++)
    look_at(pool, &pool->workers[i], passed);
  bool woken = watcher->idle_ticks >= IDLE_TICKS && !atomic_load(&pool->watch_sleeps);
  watcher->idle_ticks = woken || any_outstanding(pool) ? 0 : watcher->idle_ticks + 1;
  if (watcher->idle_ticks < IDLE_TICKS) return true;
  atomic_store(&pool->watch_sleeps, 1);
  return any_outstanding(pool);
}

static uint64_t next_start_or_rest_ms(const struct pool *pool) {
  uint64_t next = UINT64_MAX;
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (rest_ms(pool, i) < next) next = rest_ms(pool, i);
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (!pool->workers[i].process && atomic_load(&pool->workers[i].wanted) &&
        pool->workers[i].start_again_ms < next)
      next = pool->workers[i].start_again_ms;
  return next;
}

static int timeout_ms(const struct pool *pool, bool ticks, uint64_t deadline_ms) {
  uint64_t now = clock_mono_ms(), start = next_start_or_rest_ms(pool);
  if (start < deadline_ms) deadline_ms = start;
  if (ticks && now + LIMIT_WORKER_TICK_MS < deadline_ms) deadline_ms = now + LIMIT_WORKER_TICK_MS;
  if (deadline_ms == UINT64_MAX) return -1;
  return deadline_ms > now ? (int)(deadline_ms - now) : 0;
}

static void take_ring(struct pool *pool) {
  uint64_t count;
  ssize_t ignored = read(pool->watch_fd, &count, sizeof count);
  (void)ignored; // nobody rang
}

// Sleeps until something ended, was asked for, or is due; replaces workers that ended.
static void wait_and_replace(struct pool *pool, bool ticks) {
  struct pollfd fds[1 + LIMIT_CHECKS + LIMIT_TRIALS + POOL_WORKERS + 1];
  uint64_t deadline_ms = UINT64_MAX;
  fds[0] = (struct pollfd){.fd = pool->watch_fd, .events = POLLIN};
  for (unsigned i = 0; i < pool->worker_count; i++)
    fds[1 + i] = (struct pollfd){.fd = pool->workers[i].process ? pool->workers[i].process->pidfd : -1,
                                 .events = POLLIN};
  nfds_t count = 1 + pool->worker_count;
  count += pool_checks_fds(pool, fds + count, &deadline_ms);
  count += pool_trials_fds(pool, fds + count, &deadline_ms);
  if (poll(fds, count, timeout_ms(pool, ticks, deadline_ms)) <= 0) return;
  if (fds[0].revents) take_ring(pool);
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (fds[1 + i].revents) replace_worker(pool, i);
}

static void end_workers(struct pool *pool) {
  for (unsigned i = 0; i < pool->worker_count; i++) {
    struct worker_process *process = pool->workers[i].process;
    if (!process) continue;
    worker_process_kill(process);
    worker_process_reap(process);
    set_process(pool, &pool->workers[i], NULL);
    worker_process_unref(process);
  }
}

static void *watch(void *arg) {
  struct pool *pool = arg;
  struct err err = {0};
  bool started = start_all(pool, &err);
  pthread_mutex_lock(&pool->lock);
  pool->start_err = err;
  pool->state = started ? POOL_STARTED : POOL_FAILED;
  pthread_cond_signal(&pool->started);
  pthread_mutex_unlock(&pool->lock);
  struct watcher watcher = {.looked_ms = clock_mono_ms()};
  while (started && !atomic_load(&pool->stop)) {
    wait_and_replace(pool, look_at_all(pool, &watcher));
    end_idle(pool);
    start_missing(pool);
    pool_checks_end(pool);
    pool_checks_start(pool);
    pool_trials_end(pool);
    pool_trials_start(pool);
  }
  end_workers(pool);
  return NULL;
}

// ---- the pool ----

static bool start_watch(struct pool *pool, struct err *err) {
  errno = pthread_create(&pool->watch, NULL, watch, pool);
  if (errno) return err_set_errno(err, "can't start a thread");
  pool->watch_runs = true;
  pthread_mutex_lock(&pool->lock);
  while (pool->state == POOL_STARTING)
    pthread_cond_wait(&pool->started, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
  return pool->state == POOL_STARTED || err_set(err, "%s", pool->start_err.text);
}

static bool open_fds(struct pool *pool, struct err *err) {
  pool->watch_fd = shared_event(err);
  bool ok = pool->watch_fd >= 0;
  for (int i = 0; i < LIMIT_POOL_CLIENTS; i++) {
    pool->bells[i] = shared_event(err);
    ok = ok && pool->bells[i] >= 0;
  }
  return ok;
}

static unsigned cores(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (unsigned)n : 1;
}

static void choose_users(struct pool *pool) {
  pool->users = confine_may_become();
  if (!pool->users && geteuid() == 0)
    log_warn("workers doing=start error=\"they stay root: users can't be changed here; system calls are "
             "filtered all the same\"");
}

static bool fill(struct pool *pool, const struct pool_options *options, struct err *err) {
  pool->limits = options->limits;
  unsigned workers = options->workers ? options->workers : cores();
  if (workers > POOL_WORKERS || options->isolated) workers = POOL_WORKERS;
  pool->isolated = options->isolated;
  pool->worker_count = workers + 1;
  pool->workers = mem_zero(pool->worker_count, sizeof *pool->workers);
  for (unsigned i = 0; pool->workers && i < workers; i++)
    atomic_init(&pool->workers[i].wanted,
                i == 0 || !pool->isolated); // one in any case, to see that workers can be started
  choose_users(pool);
  if (options->executable) pool->executable = mem_copy(options->executable, strlen(options->executable));
  return (pool->workers && (pool->executable || !options->executable)) || err_set(err, "out of memory");
}

struct pool *pool_new(const struct pool_options *options, struct err *err) {
  struct pool *pool = mem_zero(1, sizeof *pool);
  if (!pool) {
    err_set(err, "out of memory");
    return NULL;
  }
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->started, NULL);
  pool_checks_init(pool);
  pool_trials_init(pool);
  bool ok = open_fds(pool, err) && fill(pool, options, err) && start_watch(pool, err);
  if (ok) return pool;
  err_prepend(err, "script workers");
  pool_free(pool);
  return NULL;
}

void pool_free(struct pool *pool) {
  if (!pool) return;
  atomic_store(&pool->stop, true);
  if (pool->watch_runs) {
    pool_wake_watch(pool);
    pthread_join(pool->watch, NULL);
  }
  pool_checks_fini(pool);
  pool_trials_fini(pool);
  if (pool->watch_fd >= 0) close(pool->watch_fd);
  for (int i = 0; i < LIMIT_POOL_CLIENTS; i++)
    if (pool->bells[i] >= 0) close(pool->bells[i]);
  pthread_cond_destroy(&pool->started);
  pthread_mutex_destroy(&pool->lock);
  mem_free(pool->executable);
  mem_free(pool->workers);
  mem_free(pool);
}

unsigned pool_workers(const struct pool *pool) {
  return pool->worker_count - 1;
}

unsigned pool_penalty_worker(const struct pool *pool) {
  return pool->worker_count - 1;
}

unsigned pool_places(const struct pool *pool) {
  return pool->worker_count;
}

bool pool_isolated(const struct pool *pool) {
  return pool->isolated;
}

bool pool_is_patient(const struct pool *pool, unsigned worker) {
  return pool->isolated || worker == pool_penalty_worker(pool);
}

// The organisation's, else one that nobody has and that has forgotten whom it served, else one by the hash.
static unsigned choose_worker(const struct pool *pool, int64_t organisation, uint64_t hash) {
  unsigned count = pool_workers(pool), by_hash = (unsigned)(hash % count), unused = count;
  for (unsigned i = 0; pool->isolated && i < count; i++) {
    const struct pool_worker *w = &pool->workers[i];
    bool used = atomic_load(&w->streams);
    if (used && w->organisation == organisation) return i;
    if (!used && !w->process && unused == count) unused = i;
  }
  return unused < count ? unused : by_hash;
}

unsigned pool_join(struct pool *pool, int64_t organisation, uint64_t hash) {
  pthread_mutex_lock(&pool->lock);
  unsigned number = choose_worker(pool, organisation, hash);
  struct pool_worker *w = &pool->workers[number];
  if (atomic_fetch_add(&w->streams, 1) == 0) w->organisation = organisation;
  pthread_mutex_unlock(&pool->lock);
  return number;
}

void pool_leave(struct pool *pool, unsigned worker) {
  pthread_mutex_lock(&pool->lock);
  bool last = atomic_fetch_sub(&pool->workers[worker].streams, 1) == 1;
  pthread_mutex_unlock(&pool->lock);
  if (last && pool->isolated) pool_wake_watch(pool);
}

void pool_slow_down(struct pool *pool, unsigned worker) {
  pthread_mutex_lock(&pool->lock);
  struct worker_process *process = pool->workers[worker].process;
  if (process) worker_process_slow(process);
  pthread_mutex_unlock(&pool->lock);
}

uid_t pool_user(const struct pool *pool, unsigned n) {
  return pool->users ? CONFINE_USERS + n : 0;
}

pid_t pool_worker_pid(struct pool *pool, unsigned worker) {
  pthread_mutex_lock(&pool->lock);
  struct worker_process *process = pool->workers[worker].process;
  pid_t pid = process ? process->pid : 0;
  pthread_mutex_unlock(&pool->lock);
  return pid;
}

void pool_numbers(struct pool *pool, struct pool_numbers *out) {
  *out = (struct pool_numbers){.kills = atomic_load(&pool->kills), .restarts = atomic_load(&pool->restarts)};
  pthread_mutex_lock(&pool->lock);
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (pool->workers[i].process) out->memory_bytes += segment_memory(pool->workers[i].process->memory_fd);
  pthread_mutex_unlock(&pool->lock);
}
