// pool_hostile_test.c - workers that hang, lie or snoop: the engine's side stands, and the others' jobs are
// done.
//
// The workers here are this program's own: which one it plays depends on the name it was started by.
#include "base/clock.h"
#include "base/rand.h"
#include "pool_support.h"
#include "script/confine.h"
#include "script/message.h"
#include "script/worker_process.h"

#include <fcntl.h>
#include <libgen.h>

// ---- workers ----

struct actor { // of one client's link
  struct segment_words *words;
  struct ring requests, results;
};

static void actor_open(struct actor *a) {
  struct err err = {0};
  a->words = segment_map(WORKER_FD_MEMORY, &err);
  if (!a->words || !confine(&(struct confine){a->words->engine, a->words->user, WORKER_FDS}, &err)) _exit(1);
  segment_map_requests(&a->requests, a->words, WORKER_FD_MEMORY, 0);
  segment_map_results(&a->results, a->words, WORKER_FD_MEMORY, 0);
  atomic_store(&a->words->ready, 1);
}

static const struct message_job *next_job(struct actor *a) {
  for (;;) {
    while (ring_ready(&a->requests) == 0) {
    }
    const struct message *message = (const void *)ring_front(&a->requests);
    if (message->kind == MESSAGE_JOB) return (const void *)message;
    ring_consume(&a->requests, message->bytes);
  }
}

static void ring_client(void) {
  if (write(WORKER_FD_BELLS, &(uint64_t){1}, sizeof(uint64_t)) < 0) _exit(1);
}

static struct message_result result_for(const struct message_job *job, uint32_t index) {
  return (struct message_result){
      .bytes = sizeof(struct message_result), .index = index, .job = job->number, .outcome = SCRIPT_FILTERED};
}

static void send_bytes(struct actor *a, const void *at, size_t len) {
  memcpy(ring_back(&a->results), at, len);
  ring_advance(&a->results, len);
  ring_publish(&a->results);
}

static void filter_all(struct actor *a, const struct message_job *job, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    struct message_result result = result_for(job, i);
    send_bytes(a, &result, sizeof result);
  }
  ring_client();
}

// Gets stuck in the third record of each first job of a client; `busy` or asleep.
_Noreturn static void play_stuck(bool busy) {
  struct actor a = {0};
  actor_open(&a);
  for (;;) {
    const struct message_job *job = next_job(&a);
    bool sticks = job->number == 1;
    filter_all(&a, job, sticks ? 2 : job->count);
    if (sticks) {
      atomic_store(&a.words->beat.job, job->number);
      atomic_store(&a.words->beat.index, 2);
      atomic_fetch_add(&a.words->beat.call, 1);
      atomic_store(&a.words->bell, SEGMENT_ASLEEP);
      for (;;)
        if (!busy) segment_sleep(a.words);
    }
    ring_consume(&a.requests, job->head.bytes);
  }
}

static void scribble(void *at, size_t len) {
  for (char *p = at; len >= 8; p += 8, len -= 8)
    memcpy(p, &(uint64_t){rand_u64()}, 8);
}

static void lie_in_words(struct actor *a) {
  struct segment_link *link = &a->words->links[0];
  switch (rand_u64() % 3) {
  case 0:
    atomic_store(&link->results.tail, rand_u64() | LIMIT_RING_BYTES << 1);
    break;
  case 1:
    atomic_store(&link->results.tail, UINT64_MAX);
    break;
  default:
    scribble(&a->words->beat, sizeof *a->words - offsetof(struct segment_words, beat));
  }
}

static void lie_in_bytes(struct actor *a) {
  scribble(a->results.bytes, a->results.size);
  ring_advance(&a->results, 8 + (rand_u64() % LIMIT_RING_BYTES & ~UINT64_C(7)));
  ring_publish(&a->results);
}

// A result that is right but for one number.
static void lie_in_one_number(struct actor *a, const struct message_job *job) {
  struct {
    struct message_result head;
    struct script_output output;
    char bytes[16];
  } m = {.head = result_for(job, 0), .output = {.body_len = 16}};
  m.head.outcome = SCRIPT_KEPT;
  m.head.output_count = 1;
  m.head.output_bytes = 16;
  m.head.bytes = sizeof m;
  const uint32_t wild = (uint32_t)(rand_u64() | 1u << (rand_u64() % 31 + 1));
  switch (rand_u64() % 13) {
  case 0:
    m.head.bytes = wild;
    break;
  case 1:
    m.head.bytes = 8;
    break;
  case 2:
    m.head.bytes += 8;
    break;
  case 3:
    m.head.index = 1;
    break;
  case 4:
    m.head.job += wild;
    break;
  case 5:
    m.head.outcome = SCRIPT_PUT_OFF + 1;
    break;
  case 6:
    m.head.output_count = (uint16_t)(wild | 1 << 12);
    break;
  case 7:
    m.head.output_bytes = wild | 1 << 12;
    break;
  case 8:
    m.head.text_bytes = 60000;
    break;
  case 9:
    m.output.body_at = wild | 1 << 5;
    break;
  case 10:
    m.output.body_len = UINT32_MAX;
    break;
  case 11:
    m.output = (struct script_output){.key_at = 16, .key_len = wild};
    break;
  default:
    m.output = (struct script_output){.key_at = UINT32_MAX, .key_len = 1};
    break;
  }
  send_bytes(a, &m, sizeof m);
}

_Noreturn static void play_liar(void) {
  struct actor a = {0};
  actor_open(&a);
  for (;;) {
    const struct message_job *job = next_job(&a);
    rand_seed(clock_mono_ns());
    switch (rand_u64() % 5) {
    case 0:
      lie_in_words(&a);
      break;
    case 1:
      lie_in_bytes(&a);
      break;
    default:
      lie_in_one_number(&a, job);
    }
    ring_client();
    for (;;) {
    }
  }
}

_Noreturn static void play_snoop(void) {
  struct actor a = {0};
  actor_open(&a);
  next_job(&a);
  atomic_fetch_add(&a.words->beat.call, 1);
  if (open("/etc/passwd", O_RDONLY) >= 0) _exit(0);
  for (;;) {
  }
}

// Says that it has read what was never written.
_Noreturn static void play_overreader(void) {
  struct actor a = {0};
  actor_open(&a);
  next_job(&a);
  atomic_store(&a.words->links[0].requests.head, UINT64_MAX / 2);
  ring_client(); // who may have found the ring full before
  for (;;) {
  }
}

static int play(const char *actor) {
  if (strcmp(actor, "stuck") == 0) play_stuck(true);
  if (strcmp(actor, "asleep") == 0) play_stuck(false);
  if (strcmp(actor, "liar") == 0) play_liar();
  if (strcmp(actor, "overreader") == 0) play_overreader();
  if (strcmp(actor, "snoop") == 0) play_snoop();
  return 3; // an early leaver
}

// ---- tests ----

static struct fixture f;
static char folder[64], actor_path[128];

static void choose(const char *actor) {
  char self[1000];
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(len > 0);
  self[len] = 0;
  snprintf(folder, sizeof folder, "/tmp/pool_hostile.XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(actor_path, sizeof actor_path, "%s/%s", folder, actor);
  assert_int_equal(symlink(self, actor_path), 0);
}

static int forget_actor(void **state) {
  (void)state;
  unlink(actor_path);
  rmdir(folder);
  return 0;
}

static void a_call_that_never_ends(const char *actor) {
  choose(actor);
  fixture_open(&f, actor_path, 1);
  struct program *program = program_of("", "", "s");
  struct run stuck = {0}, behind = {0};
  assert_true(run_begin(&f, 0, program, &stuck, 5));
  assert_true(run_begin(&f, 0, program, &behind, 5));
  run_until(&f, all_ended);
  assert_int_equal(stuck.end, POOL_LOST);
  assert_int_equal(stuck.at, 2);
  assert_int_equal(stuck.results, 2);
  assert_true(stuck.guilty);
  assert_string_equal(stuck.why, "timed out");
  assert_int_equal(behind.end, POOL_LOST);
  assert_int_equal(behind.at, 0);
  assert_false(behind.guilty);
  assert_true(run_begin(&f, 0, program, &behind, 5));
  run_until(&f, all_ended);
  assert_int_equal(behind.end, POOL_DONE);
  assert_int_equal(behind.results, 5);
  struct pool_numbers numbers;
  pool_numbers(f.pool, &numbers);
  assert_int_equal(numbers.kills, 1);
  assert_int_equal(numbers.restarts, 1);
  assert_true(numbers.memory_bytes > 0);
  program_unref(program);
  fixture_close(&f);
}

static void a_call_that_computes_for_ever_is_killed(void **state) {
  // The record it was at is guilty; the job behind it is done by the next worker.
  (void)state;
  a_call_that_never_ends("stuck");
}

static void a_call_that_sleeps_for_ever_is_killed(void **state) {
  // The same for one that uses no processor time.
  (void)state;
  a_call_that_never_ends("asleep");
}

static void lies_in_a_ring_kill_the_liar_only(void **state) {
  // Wild positions, lengths, counts and offsets, a hundred times: nothing outside the ring is read (ASan
  // looks on), every job ends as lost, nobody is guilty.
  (void)state;
  choose("liar");
  fixture_open(&f, actor_path, 1);
  struct program *program = program_of("", "", "s");
  for (int round = 0; round < 100; round++) {
    struct run run = {0};
    while (!run_begin(&f, 0, program, &run, 2))
      run_until(&f, has_room);
    run_until(&f, all_ended);
    assert_int_equal(run.end, POOL_LOST);
    assert_false(run.guilty);
    assert_string_equal(run.why, "sent nonsense");
  }
  program_unref(program);
  fixture_close(&f);
}

static void a_lie_about_what_was_read_is_found(void **state) {
  // The head of a client's own ring set to nowhere: once room is looked for, the worker is killed; nothing is
  // overwritten.
  (void)state;
  choose("overreader");
  fixture_open(&f, actor_path, 1);
  struct program *program = program_of("", "", "s");
  static struct run runs[31];
  int begun = 0;
  while (begun < 30 && run_begin(&f, 0, program, &runs[begun], 1))
    runs[++begun].record_bytes = 180000;
  assert_in_range(begun, 5, 20);
  run_until(&f, all_ended);
  for (int i = 0; i < begun; i++)
    assert_string_equal(runs[i].why, "sent nonsense");
  program_unref(program);
  fixture_close(&f);
}

static void a_worker_can_open_nothing(void **state) {
  // A confined worker that asks for a file is ended by the kernel.
  (void)state;
  if (CONFINE_SANITIZED) skip();
  choose("snoop");
  fixture_open(&f, actor_path, 1);
  struct program *program = program_of("", "", "s");
  struct run run = {0};
  assert_true(run_begin(&f, 0, program, &run, 1));
  run_until(&f, all_ended);
  assert_int_equal(run.end, POOL_LOST);
  assert_string_equal(run.why, "crashed (signal 31)");
  program_unref(program);
  fixture_close(&f);
}

static void a_worker_that_ends_at_its_start_is_an_error(void **state) {
  // No pool is made of workers that can't run.
  (void)state;
  choose("early_leaver");
  struct err err = {0};
  struct pool_options options = {.workers = 1, .executable = actor_path};
  assert_null(pool_new(&options, &err));
  assert_non_null(strstr(err.text, "ended at its start"));
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return play(basename(argv[0]));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_call_that_computes_for_ever_is_killed, forget_actor),
      cmocka_unit_test_teardown(a_call_that_sleeps_for_ever_is_killed, forget_actor),
      cmocka_unit_test_teardown(lies_in_a_ring_kill_the_liar_only, forget_actor),
      cmocka_unit_test_teardown(a_lie_about_what_was_read_is_found, forget_actor),
      cmocka_unit_test_teardown(a_worker_can_open_nothing, forget_actor),
      cmocka_unit_test_teardown(a_worker_that_ends_at_its_start_is_an_error, forget_actor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
