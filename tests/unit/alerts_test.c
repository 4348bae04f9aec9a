// Proves that what a script's alert hook raises is in the journal once, and before its record is settled, whatever fails meanwhile;
// and that a hook that fails costs the record nothing.
#include "delivery_support.h"

enum { BIG_RECORDS = 28, BIG_BYTES = 1 << 20, FLOOD = 3000 };

// Every record raises one, and is delivered.
static const char each_raises[] = "local M = { api = 1 }\n"
                                  "function M.alert(rec) return { key = rec.id, title = 'no. ' .. rec.id, for_s = 0 } end\n"
                                  "return M";

static void answer_well(struct world *world, const struct got *got, struct reply *reply) {
  (void)world, (void)got, (void)reply;
}

static void open_script(const char *script) {
  world_open(&w, no_sinks);
  w.script = script;
  stream_open(&w, "rest_bulk", "{}", 1);
  w.answer = answer_well;
}

static void fill_disk(void) {
  disk_fail_at(DISK_WRITE, 1, 0, ENOSPC);
}

// Records that are in the journal; what becomes of them from here on finds a full disk.
static void send_then_fill_disk(int count) {
  stream_set_active(&w, false);
  send_records(&w, count, NULL);
  fill_disk();
  stream_set_active(&w, true);
}

// ---- what the journal has ----

struct kept {
  size_t count;
  int64_t last_id; // of the newest one's record
  char newest[1000];
  struct journal_fetch fetch;
  bool fetched, in_order;
};
static struct kept kept;

static void note_fetched(struct journal_fetch *fetch) {
  (void)fetch;
  kept.fetched = true;
}

static bool has_fetched(struct world *world) {
  (void)world;
  return kept.fetched;
}

static void see_alert(struct slice alert) {
  json_t *json = json_loadb(alert.at, alert.len, 0, NULL);
  assert_non_null(json);
  assert_string_equal(json_string_value(json_object_get(json, "kind")), "alert");
  int64_t id = json_integer_value(json_object_get(json_object_get(json, "record"), "id"));
  if (kept.count && id != kept.last_id - (int64_t)kept.count) kept.in_order = false; // newest first
  if (!kept.count++) {
    kept.last_id = id;
    snprintf(kept.newest, sizeof kept.newest, "%.*s", (int)alert.len, alert.at);
  }
  json_decref(json);
}

// All alerts in the journal, newest first.
static void read_alerts(void) {
  memset(&kept, 0, sizeof kept);
  kept.in_order = true;
  uint64_t below = UINT64_MAX;
  do {
    kept.fetched = false;
    kept.fetch = (struct journal_fetch){.loop = w.courier->loop, .sequence = below, .organisation = JOURNAL_ALL, .back = true,
                                        .kinds = 1u << RECORD_ALERT, .done = note_fetched};
    journal_fetch(w.journal, &kept.fetch);
    run_until(&w, has_fetched);
    const struct journal_block *block = kept.fetch.block;
    for (uint32_t i = block ? block->count : 0; i-- > 0;) {
      const struct record_header *row = &block->rows[block->by_sequence[i]];
      if (row->kind == RECORD_ALERT) see_alert(journal_block_record(block, row));
    }
    journal_block_unref(kept.fetch.block);
    below = kept.fetch.next;
  } while (below > journal_first(w.journal));
}

// ---- what the stream waits for ----

static uint64_t wanted_alerts;

static bool has_settled(struct world *world) {
  return atomic_load(&world->status->alerts) >= wanted_alerts && all_settled(world) && alerts_idle(world->courier->alerts);
}

static void settle_with(uint64_t alerts) {
  wanted_alerts = alerts;
  run_until(&w, has_settled);
  assert_int_equal(w.stream->alerts.count, 0);
  assert_int_equal(atomic_load(&w.budget.used), 0);
  assert_int_equal(atomic_load(&w.status->alerts), alerts);
  read_alerts();
}

static bool waits_for_the_journal(struct world *world) { // and for nothing else
  return world->stream->alerts.count && alerts_idle(world->courier->alerts) && world->got_count && !world->courier->requests;
}

// ---- tests ----

static void an_alert_is_a_record_of_the_journal(void **state) {
  (void)state;
  char wanted_text[400];
  open_script(each_raises);
  send_records(&w, 1, NULL);
  settle_with(1);
  assert_int_equal(kept.count, 1);
  snprintf(wanted_text, sizeof wanted_text, "\"key\":\"1\",\"title\":\"no. 1\",\"severity\":\"warn\",\"organisation\":{\"id\":%d,\"name\":null},"
           "\"stream_id\":\"%s\",\"script\":\"%s\",\"record\":{\"kind\":\"event\",\"id\":1},\"endpoint\":null}",
           ORGANISATION, w.definition->id, w.definition->script_version);
  if (!strstr(kept.newest, wanted_text)) fail_msg("%s is not in %s", wanted_text, kept.newest);
  world_close(&w);
}

static void a_record_waits_until_its_alert_is_durable(void **state) {
  (void)state;
  open_script(each_raises);
  send_then_fill_disk(1);
  run_until(&w, waits_for_the_journal);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
  assert_int_equal(w.stream->window.count, 1);
  assert_int_equal(status_lag(w.status), 1);
  disk_fail_reset();
  settle_with(1);
  assert_int_equal(kept.count, 1);
  assert_int_equal(w.got_count, 1);
  world_close(&w);
}

static void so_does_one_that_is_filtered(void **state) {
  (void)state;
  static const char filters[] = "local M = { api = 1 }\nfunction M.filter(rec) return rec.id > 1 end\n"
                                "function M.alert(rec) return rec.id == 1 and { key = 'k' } or nil end\nreturn M";
  open_script(filters);
  send_then_fill_disk(2); // the other one is delivered
  run_until(&w, waits_for_the_journal);
  assert_int_equal(count_of(&w, COUNT_FILTERED), 1);
  assert_int_equal(w.stream->window.count, 2); // the second behind the first
  disk_fail_reset();
  w.sent--; // of what is delivered
  settle_with(1);
  assert_int_equal(kept.count, 1);
  world_close(&w);
}

// A stream of a new shape is begun anew, but for what only waits for its alert.
static void what_was_delivered_is_not_sent_again_while_its_alert_waits(void **state) {
  (void)state;
  struct err err = {0};
  struct definition_world world = {.sinks = w.sinks, .scripts_folder = w.folder};
  open_script(each_raises);
  send_then_fill_disk(3);
  run_until(&w, waits_for_the_journal);
  world.sinks = w.sinks;
  json_t *body = json_pack("{s:i}", "in_flight", 4);
  struct definition *next = definition_change(&world, w.definition, body, &err);
  json_decref(body);
  obey(&w, COURIER_CHANGE, next, false);
  definition_unref(w.definition);
  w.definition = next;
  disk_fail_reset();
  settle_with(3);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 3);
  assert_int_equal(kept.count, 3);
  world_close(&w);
}

static bool is_gone(struct world *world) {
  return !world->courier->jobs_made || world->obeyed;
}

// As after a crash before the position was saved: the same records raise the same alerts.
static void raised_again_an_alert_is_a_duplicate(void **state) {
  (void)state;
  struct err err = {0};
  open_script(each_raises);
  send_records(&w, 5, NULL);
  settle_with(5);
  obey(&w, COURIER_REMOVE, w.definition, false);
  run_until(&w, is_gone);
  assert_true(store_put_now(w.store, STORE_POSITIONS, slice_of(w.definition->id), slice_make(NULL, 0), &err));
  uint64_t head = journal_head(w.journal);
  obey(&w, COURIER_ADD, w.definition, false);
  w.stream = courier_stream(w.courier, w.definition->id);
  w.sent = 10; // delivered twice
  settle_with(5);
  assert_int_equal(kept.count, 5);
  assert_int_equal(journal_head(w.journal), head);
  world_close(&w);
}

static void a_stream_can_be_removed_while_its_alerts_wait(void **state) {
  (void)state;
  open_script(each_raises);
  send_then_fill_disk(10);
  run_until(&w, waits_for_the_journal);
  obey(&w, COURIER_REMOVE, w.definition, false);
  world_close(&w); // and the engine can end: what waits is freed
  disk_fail_reset();
}

static bool has_enough(struct world *world) {
  return world->stream->alerts.count >= LIMIT_ALERTS && waits_for_the_journal(world);
}

// A stream reads on only as far as its alerts may pile up; once there is room they come in order.
static void alerts_that_wait_are_bounded_and_keep_their_order(void **state) {
  (void)state;
  open_script(each_raises);
  send_then_fill_disk(FLOOD);
  run_until(&w, has_enough);
  assert_in_range(w.stream->alerts.count, LIMIT_ALERTS, LIMIT_ALERTS + STREAM_RECORDS_OUT);
  assert_true(feed_blocked(w.stream));
  assert_true(atomic_load(&w.budget.used) > w.stream->alerts.count * sizeof(struct script_alert));
  disk_fail_reset();
  settle_with(FLOOD);
  assert_int_equal(kept.count, FLOOD);
  assert_true(kept.in_order);
  world_close(&w);
}

// Enough of another organisation's to push what came before out of the journal's memory.
static void send_much(void) {
  struct record_header records[BIG_RECORDS];
  char *text = mem_must(mem_zero(BIG_RECORDS, BIG_BYTES));
  for (int i = 0; i < BIG_RECORDS; i++)
    records[i] = (struct record_header){.organisation = ORGANISATION + 1, .id = i, .kind = RECORD_USAGE,
                                        .offset = (uint32_t)i * BIG_BYTES, .length = BIG_BYTES};
  for (int i = 0; i < BIG_RECORDS; i += 4) {
    struct appending a = {.world = &w, .append = {.loop = w.courier->loop, .records = &records[i], .count = 4, .bytes = text,
                                                  .bytes_len = BIG_RECORDS * BIG_BYTES, .done = appended}};
    w.obeyed = false;
    assert_true(journal_append(w.journal, &a.append));
    run_until(&w, has_obeyed);
  }
  mem_free(text);
}

static void its_record_may_have_to_come_from_disk(void **state) {
  (void)state;
  open_script(each_raises);
  stream_set_active(&w, false);
  send_records(&w, 30, NULL);
  send_much();
  assert_null(journal_recent(w.journal, 1));
  stream_set_active(&w, true);
  settle_with(30);
  assert_int_equal(kept.count, 30);
  assert_true(kept.in_order);
  assert_non_null(strstr(kept.newest, "\"record\":{\"kind\":\"event\",\"id\":30}"));
  world_close(&w);
}

static void a_hook_that_fails_costs_the_record_nothing(void **state) {
  (void)state;
  static const char fails[] = "local M = { api = 1 }\nfunction M.alert(rec) return rec.nothing.at_all end\nreturn M";
  open_script(fails);
  send_records(&w, 3, NULL);
  settle_with(0);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 3);
  assert_int_equal(atomic_load(&w.status->alert_failures), 3);
  assert_int_equal(kept.count, 0);
  world_close(&w);
}

static void a_record_that_fails_raises_none(void **state) {
  (void)state;
  static const char fails[] = "local M = { api = 1 }\nfunction M.alert(rec) return { key = 'k' } end\n"
                              "function M.filter(rec) error('no') end\nreturn M";
  open_script(fails);
  send_records(&w, 2, NULL);
  settle_with(0);
  assert_int_equal(count_of(&w, COUNT_DEAD), 2);
  assert_int_equal(kept.count, 0);
  world_close(&w);
}

static bool is_fed(struct world *world) {
  return world->stream->jobs > 0;
}

// The nth allocation from the results on fails, for each n: every record is delivered, and its alert is there once.
static void short_of_memory_every_alert_is_there_once(void **state) {
  (void)state;
  long n = 0;
  uint64_t alerts = 0;
  open_script(each_raises);
  w.haste = true;
  do {
    w.courier->draining = true; // nothing is read until it is there
    send_records(&w, 2, NULL);
    w.courier->draining = false;
    loop_post(w.courier->loop, &w.courier->another_turn);
    run_until(&w, is_fed);
    mem_fail_at(++n);
    alerts += 2;
    wanted_alerts = alerts;
    run_until(&w, has_settled);
  } while (mem_asked() >= n && n < 200);
  mem_fail_at(0);
  assert_true(n > 8);
  settle_with(alerts);
  assert_int_equal(kept.count, alerts);
  world_close(&w);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_alert_is_a_record_of_the_journal),
      cmocka_unit_test(a_record_waits_until_its_alert_is_durable),
      cmocka_unit_test(so_does_one_that_is_filtered),
      cmocka_unit_test(what_was_delivered_is_not_sent_again_while_its_alert_waits),
      cmocka_unit_test(raised_again_an_alert_is_a_duplicate),
      cmocka_unit_test(a_stream_can_be_removed_while_its_alerts_wait),
      cmocka_unit_test(alerts_that_wait_are_bounded_and_keep_their_order),
      cmocka_unit_test(its_record_may_have_to_come_from_disk),
      cmocka_unit_test(a_hook_that_fails_costs_the_record_nothing),
      cmocka_unit_test(a_record_that_fails_raises_none),
      cmocka_unit_test(short_of_memory_every_alert_is_there_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
