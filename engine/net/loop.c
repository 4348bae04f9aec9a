// loop.c - libevent's base without locks: only the list of posted tasks and the stop flag are seen by other
// threads.
#include "net/loop.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
  struct event_base *base;
  struct event *wake;
  int wake_fd;
  atomic_bool stop;
  _Atomic(struct loop_task *) posted; // newest first
  void (*turn_end)(void *arg);
  void *turn_end_arg;
};

static _Thread_local const struct loop *current;

static void wake_up(struct loop *loop) {
  ssize_t n;
  do
    n = write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
  while (n < 0 && errno == EINTR); // EAGAIN: the counter is full, so the loop wakes anyway
}

static struct loop_task *reversed(struct loop_task *task) {
  struct loop_task *head = NULL;
  while (task) {
    struct loop_task *next = task->next;
    task->next = head;
    head = task;
    task = next;
  }
  return head;
}

static void run_posted(struct loop *loop) {
  struct loop_task *task = reversed(atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire));
  while (task) {
    struct loop_task *next = task->next;
    // An exchange and not a store: it pairs with that of a poster who found the task posted, so that run sees
    // what he wrote.
    atomic_exchange_explicit(&task->posted, false, memory_order_acq_rel);
    task->run(task);
    task = next;
  }
}

static void woken(evutil_socket_t fd, short what, void *arg) {
  (void)what;
  // The counter first: a task pushed after this finds the list empty once more and wakes the loop again.
  uint64_t count;
  ssize_t n = read(fd, &count, sizeof count);
  (void)n;
  run_posted(arg);
}

static bool open_wake(struct loop *loop, struct err *err) {
  loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (loop->wake_fd < 0) return err_set_errno(err, "can't make an eventfd");
  loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, woken, loop);
  if (!loop->wake || event_add(loop->wake, NULL)) return err_set(err, "can't watch an eventfd");
  return true;
}

static void log_libevent(int severity, const char *text) {
  log_line(severity >= EVENT_LOG_ERR    ? LOG_ERROR
           : severity == EVENT_LOG_WARN ? LOG_WARN
                                        : LOG_DEBUG,
           "libevent%s", log_field("says", text));
}

// Precise timers cost a system call a turn; the default's clock steps by 4 ms.
static struct event_base *new_base(void) {
  event_set_log_callback(log_libevent);
  struct event_config *config = event_config_new();
  if (!config) return NULL;
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
  struct event_base *base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

struct loop *loop_new(struct err *err) {
  struct loop *loop = mem_zero(1, sizeof *loop);
  if (!loop) {
    err_set(err, "out of memory");
    return NULL;
  }
  loop->wake_fd = -1;
  loop->base = new_base();
  if (!loop->base) err_set_errno(err, "can't make an event loop");
  if (loop->base && open_wake(loop, err)) return loop;
  loop_free(loop);
  return NULL;
}

void loop_free(struct loop *loop) {
  if (!loop) return;
  assert(current != loop);
  if (loop->wake) event_free(loop->wake);
  if (loop->base) event_base_free(loop->base);
  if (loop->wake_fd >= 0) close(loop->wake_fd);
  mem_free(loop);
}

void loop_run(struct loop *loop) {
  const struct loop *outer = current;
  current = loop;
  while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
    event_base_loop(loop->base, EVLOOP_ONCE);
    if (loop->turn_end) loop->turn_end(loop->turn_end_arg);
  }
  atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
  current = outer;
}

void loop_stop(struct loop *loop) {
  atomic_store_explicit(&loop->stop, true, memory_order_release);
  wake_up(loop);
}

void loop_post(struct loop *loop, struct loop_task *task) {
  if (atomic_exchange_explicit(&task->posted, true, memory_order_acq_rel)) return;
  struct loop_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
  do
    task->next = head;
  while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release,
                                                memory_order_relaxed));
  if (!head) wake_up(loop);
}

bool loop_is_current(const struct loop *loop) {
  return current == loop;
}

void loop_set_turn_end(struct loop *loop, void (*run)(void *arg), void *arg) {
  loop->turn_end = run;
  loop->turn_end_arg = arg;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg) {
  (void)fd, (void)what;
  struct loop_timer *timer = arg;
  timer->run(timer);
}

bool loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_us) {
  if (!timer->event) timer->event = event_new(loop->base, -1, 0, timer_fired, timer);
  timer->loop = loop;
  struct timeval delay = {.tv_sec = (time_t)(delay_us / 1000000),
                          .tv_usec = (suseconds_t)(delay_us % 1000000)};
  return timer->event && event_add(timer->event, &delay) == 0;
}

void loop_timer_stop(struct loop_timer *timer) {
  if (timer->event) event_del(timer->event);
}

void loop_timer_fini(struct loop_timer *timer) {
  if (timer->event) event_free(timer->event);
  timer->event = NULL;
}

static void watch_ready(evutil_socket_t fd, short what, void *arg) {
  (void)what;
  struct loop_watch *watch = arg;
  watch->run(watch, fd);
}

bool loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd) {
  assert(!watch->event);
  watch->event = event_new(loop->base, fd, EV_READ | EV_PERSIST, watch_ready, watch);
  if (watch->event && event_add(watch->event, NULL) == 0) return true;
  loop_watch_fini(watch);
  return false;
}

void loop_watch_fini(struct loop_watch *watch) {
  if (watch->event) event_free(watch->event);
  watch->event = NULL;
}

struct event_base *loop_base(struct loop *loop) {
  return loop->base;
}
