// Proves that nothing is lost when memory or the store is short while a batch goes out and its verdict is carried out.
#include "delivery_support.h"

#include <openssl/crypto.h>

// ---- the disk ----

static bool has_refused(struct world *world) {
  return commits_refused > 0 && !world->courier->requests;
}

static void a_dead_letter_waits_until_the_store_takes_it(void **state) {
  (void)state;
  open_with("rest", "{}", 1, refuse_all);
  atomic_store(&commits_fail, true);
  send_records(&w, 1, NULL);
  run_until(&w, has_refused);
  assert_int_equal(w.stream->window.count, 1);
  assert_int_equal(count_of(&w, COUNT_DEAD), 0);
  atomic_store(&commits_fail, false);
  run_until(&w, all_settled);
  struct letters letters = letters_of(&w);
  assert_int_equal(letters.count, 1);
  json_decref(letters.last);
  assert_int_equal(w.got_count, 1);
  world_close(&w);
}

// ---- short of memory ----

static bool is_ready(struct world *world) {
  return !list_empty(&world->stream->ready_lanes);
}

// The nth allocation from the first request on fails, for each n: what is sent is delivered or buried in the end.
static void fail_each_allocation(uint32_t records, const int *endpoints) {
  long n = 0;
  w.haste = true;
  do {
    w.courier->requests += LIMIT_REQUESTS; // nothing goes out until it is there
    send_records(&w, (int)records, endpoints);
    run_until(&w, is_ready);
    w.courier->requests -= LIMIT_REQUESTS;
    heap_fini(&w.courier->lane_timers); // room for these, too, is made anew
    mem_fail_at(++n);
    run_until(&w, all_settled);
    assert_true(stream_state(w.stream) != STREAM_PAUSED);
  } while (mem_asked() >= n && n < 200);
  mem_fail_at(0);
  assert_true(n > 1);
  world_close(&w);
}

static void short_of_memory_a_record_is_delivered_all_the_same(void **state) {
  (void)state;
  open_with("rest", "{}", 8, by_plan);
  fail_each_allocation(2, NULL);
}

static void short_of_memory_a_batch_is_packed_all_the_same(void **state) {
  (void)state;
  open_with("rest_bulk", "{\"gzip\":true}", 1, by_plan);
  fail_each_allocation(5, NULL);
}

static void short_of_memory_a_dead_letter_is_kept_all_the_same(void **state) {
  (void)state;
  open_with("rest_bulk", "{}", 1, refuse_the_culprit);
  culprit = "{\"id\":";
  w.stream->dead_in_row = 0;
  fail_each_allocation(1, NULL);
}

// The nth allocation of the turn in which they are read fails; a hundred need a larger window each time.
static void short_of_memory_records_are_read_all_the_same(void **state) {
  (void)state;
  open_with("rest_bulk", "{}", 1, by_plan);
  for (long n = 1; n <= 8; n++) {
    w.courier->draining = true; // nothing is read until all is there
    send_records(&w, 100, NULL);
    w.courier->draining = false;
    mem_fail_at(n);
    loop_post(w.courier->loop, &w.courier->another_turn);
    run_until(&w, all_settled);
    mem_fail_at(0);
  }
  world_close(&w);
}

// ---- short of memory for OpenSSL ----

static atomic_bool crypto_fails;

static void *crypto_alloc(size_t bytes, const char *file, int line) {
  (void)file, (void)line;
  return atomic_load(&crypto_fails) ? NULL : malloc(bytes);
}

static void *crypto_grow(void *at, size_t bytes, const char *file, int line) {
  (void)file, (void)line;
  return atomic_load(&crypto_fails) ? NULL : realloc(at, bytes);
}

static void crypto_free(void *at, const char *file, int line) {
  (void)file, (void)line;
  free(at);
}

static bool has_retried(struct world *world) {
  return count_of(world, COUNT_RETRIES) > 0 && !world->courier->requests;
}

static void what_could_not_be_signed_is_tried_again(void **state) {
  (void)state;
  open_with("rest", "{\"signing_secret\":\"s\",\"signing_secret_previous\":\"before\"}", 1, by_plan);
  atomic_store(&crypto_fails, true);
  send_records(&w, 1, NULL);
  run_until(&w, has_retried);
  assert_int_equal(w.got_count, 0);
  assert_int_equal(stream_state(w.stream), STREAM_RETRYING);
  atomic_store(&crypto_fails, false);
  w.haste = true;
  run_until(&w, all_settled);
  assert_int_equal(w.got_count, 1);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
  world_close(&w);
}

// Four records: one is delivered, one is bad, two go again.
static void drop_some(struct world *world, const struct got *got, struct reply *reply) {
  by_words(world, got, reply);
  if (strlen(reply->body) == 4) reply->body = "d x r r";
}

static void short_of_memory_a_partial_success_is_carried_out_all_the_same(void **state) {
  (void)state;
  open_list(1);
  w.answer = drop_some;
  fail_each_allocation(4, one_endpoint);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  if (!CRYPTO_set_mem_functions(crypto_alloc, crypto_grow, crypto_free)) return 1; // before anything uses it
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_dead_letter_waits_until_the_store_takes_it),
      cmocka_unit_test(short_of_memory_records_are_read_all_the_same),
      cmocka_unit_test(short_of_memory_a_record_is_delivered_all_the_same),
      cmocka_unit_test(short_of_memory_a_batch_is_packed_all_the_same),
      cmocka_unit_test(short_of_memory_a_dead_letter_is_kept_all_the_same),
      cmocka_unit_test(what_could_not_be_signed_is_tried_again),
      cmocka_unit_test(short_of_memory_a_partial_success_is_carried_out_all_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
