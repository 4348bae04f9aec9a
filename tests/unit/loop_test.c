// loop_test.c - tasks from other threads, the end of a turn, timers and watches.
#include "base/clock.h"
#include "net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, POSTS = 20000, KEPT = 64 };

struct step {
  struct loop_task task;
  int thread, number;
};

static struct loop *loop;
static int last_of[THREADS], steps_run, out_of_order;

static int set_up(void **state) {
  (void)state;
  struct err err = {0};
  loop = loop_new(&err);
  return loop ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  loop_free(loop);
  return 0;
}

static void step_run(struct loop_task *task) {
  struct step *step = (struct step *)(void *)task;
  if (step->number != last_of[step->thread] + 1) out_of_order++;
  last_of[step->thread] = step->number;
  free(step);
  if (++steps_run == THREADS * POSTS) loop_stop(loop);
}

static void *post_steps(void *arg) {
  int thread = *(int *)arg;
  for (int i = 1; i <= POSTS; i++) {
    struct step *step = calloc(1, sizeof *step);
    *step = (struct step){.task.run = step_run, .thread = thread, .number = i};
    loop_post(loop, &step->task);
  }
  return NULL;
}

static void tasks_of_each_thread_run_once_and_in_order(void **state) {
  // Proves: four threads posting at once lose no task, repeat none, and each thread's tasks run in the order
  // it posted them.
  (void)state;
  pthread_t threads[THREADS];
  int numbers[THREADS];
  steps_run = out_of_order = 0;
  memset(last_of, 0, sizeof last_of);
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    assert_int_equal(pthread_create(&threads[i], NULL, post_steps, &numbers[i]), 0);
  }
  loop_run(loop);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(steps_run, THREADS * POSTS);
  assert_int_equal(out_of_order, 0);
}

static struct loop_task shared;
static int shared_data, shared_seen;

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static void shared_run(struct loop_task *task) {
  (void)task;
  pthread_mutex_lock(&shared_lock);
  shared_seen = shared_data;
  pthread_mutex_unlock(&shared_lock);
  if (shared_seen == POSTS) loop_stop(loop);
}

static void *post_shared(void *arg) {
  (void)arg;
  for (int i = 1; i <= POSTS; i++) {
    pthread_mutex_lock(&shared_lock);
    shared_data = i;
    pthread_mutex_unlock(&shared_lock);
    loop_post(loop, &shared);
  }
  return NULL;
}

static void task_posted_while_waiting_runs_after_the_last_post(void **state) {
  // Proves: posting a waiting task again does no harm, and its next run sees what was written before the last
  // post.
  (void)state;
  pthread_t thread;
  shared = (struct loop_task){.run = shared_run};
  shared_data = shared_seen = 0;
  assert_int_equal(pthread_create(&thread, NULL, post_shared, NULL), 0);
  loop_run(loop);
  pthread_join(thread, NULL);
  assert_int_equal(shared_seen, POSTS);
}

static int runs, turns, runs_at_turn[KEPT];

static void again(struct loop_task *task) {
  if (++runs == 5)
    loop_stop(loop);
  else
    loop_post(loop, task);
}

static void note_turn(void *arg) {
  assert_ptr_equal(arg, &turns);
  if (turns < KEPT) runs_at_turn[turns++] = runs;
}

static void turn_ends_after_all_that_was_ready(void **state) {
  // Proves: the hook runs once a turn, after all tasks of the turn; a task that posts itself runs once in
  // each.
  (void)state;
  struct loop_task task = {.run = again}, other = {.run = again};
  runs = turns = 0;
  loop_set_turn_end(loop, note_turn, &turns);
  loop_post(loop, &task);
  loop_post(loop, &other);
  loop_run(loop);
  assert_int_equal(turns, 3);
  assert_int_equal(runs_at_turn[0], 2);
  assert_int_equal(runs_at_turn[1], 4);
  assert_true(runs_at_turn[2] >= 5);
}

static uint64_t fired_ns;
static int fired;

static void timer_run(struct loop_timer *timer) {
  assert_true(loop_is_current(timer->loop));
  fired++;
  fired_ns = clock_mono_ns();
  loop_stop(loop);
}

static void timer_fires_once_and_not_early(void **state) {
  // Proves: a timer moved before it fires fires once, at the later time; a stopped one does not; zeroed ones
  // may be ended.
  (void)state;
  struct loop_timer timer = {.run = timer_run}, stopped = {.run = timer_run}, never = {0};
  fired = 0;
  uint64_t start_ns = clock_mono_ns();
  assert_true(loop_timer_start(loop, &stopped, 1000));
  assert_true(loop_timer_start(loop, &timer, 2000));
  assert_true(loop_timer_start(loop, &timer, 20000));
  loop_timer_stop(&stopped);
  loop_run(loop);
  assert_int_equal(fired, 1);
  assert_true(fired_ns - start_ns >= 19000000);
  assert_false(loop_is_current(loop));
  loop_timer_fini(&timer);
  loop_timer_fini(&stopped);
  loop_timer_fini(&never);
}

static char watched[8];
static size_t watched_len;

static void watch_run(struct loop_watch *watch, int fd) {
  (void)watch;
  ssize_t n = read(fd, watched + watched_len, 1); // one byte a time: the rest must be reported again
  assert_int_equal(n, 1);
  if (++watched_len == 3) loop_stop(loop);
}

static void watch_reports_while_there_is_something_to_read(void **state) {
  // Proves: a watch is level-triggered: what is not read at once is reported again.
  (void)state;
  int ends[2];
  struct loop_watch watch = {.run = watch_run}, never = {0};
  assert_int_equal(pipe(ends), 0);
  assert_true(loop_watch_start(loop, &watch, ends[0]));
  assert_int_equal(write(ends[1], "abc", 3), 3);
  watched_len = 0;
  loop_run(loop);
  assert_memory_equal(watched, "abc", 3);
  loop_watch_fini(&watch);
  loop_watch_fini(&never);
  close(ends[0]);
  close(ends[1]);
}

static void stop_before_run_is_kept(void **state) {
  // Proves: a loop stopped before it runs returns at once, and runs again afterwards.
  (void)state;
  struct loop_task task = {.run = again};
  loop_stop(loop);
  loop_run(loop);
  runs = 4;
  loop_post(loop, &task);
  loop_run(loop);
  assert_int_equal(runs, 5);
}

static void waiting_tasks_are_dropped_at_free(void **state) {
  // Proves: freeing a loop with a task waiting neither runs it nor touches it.
  (void)state;
  struct err err = {0};
  struct loop *other = loop_new(&err);
  struct loop_task *task = calloc(1, sizeof *task);
  task->run = again;
  loop_post(other, task);
  free(task);
  loop_free(other);
  loop_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(tasks_of_each_thread_run_once_and_in_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(task_posted_while_waiting_runs_after_the_last_post, set_up, tear_down),
      cmocka_unit_test_setup_teardown(turn_ends_after_all_that_was_ready, set_up, tear_down),
      cmocka_unit_test_setup_teardown(timer_fires_once_and_not_early, set_up, tear_down),
      cmocka_unit_test_setup_teardown(watch_reports_while_there_is_something_to_read, set_up, tear_down),
      cmocka_unit_test_setup_teardown(stop_before_run_is_kept, set_up, tear_down),
      cmocka_unit_test(waiting_tasks_are_dropped_at_free),
  };
  return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
