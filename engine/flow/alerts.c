#include "flow/alerts.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/alert_record.h"
#include "flow/courier_parts.h"

#include <inttypes.h>

enum { AGAIN_MS = 500 };

struct raised { // by one record
  struct journal_append append; // first
  struct journal_fetch fetch;   // of the record, when it is no longer in memory
  struct stream *stream;
  struct outfit *outfit; // as it was run
  struct harvest_item item;
  bool settles; // the record waits for nothing else
  bool waits;   // to be handed in again
  struct list link;
  struct script_alert alerts[SCRIPT_ALERTS];
  uint32_t count;
  struct record_header headers[SCRIPT_ALERTS];
  uint32_t ends[SCRIPT_ALERTS]; // in the text
  struct buf text;
  size_t held_bytes; // as the budget counts them
};

struct alerts {
  struct courier *courier;
  struct list all;
  uint32_t count, waiting;
  bool fetching; // one's record: the others wait meanwhile, so that they stay in order
  struct json_tape tape; // of the record at hand
  struct loop_timer timer;
  struct loop_task at_once; // where the timer can't be had
  struct allowance log_lines;
};

static atomic_uint_fast64_t stored_total;

uint64_t alerts_stored(void) {
  return atomic_load_explicit(&stored_total, memory_order_relaxed);
}

static void again_due(struct loop_timer *timer);
static void again_at_once(struct loop_task *task);
static void hand_in_again(struct alerts *all);

struct alerts *alerts_new(struct courier *courier, struct err *err) {
  struct alerts *all = mem_zero(1, sizeof *all);
  if (!all) return err_set(err, "out of memory"), NULL;
  all->courier = courier;
  all->timer.run = again_due;
  all->at_once.run = again_at_once;
  all->log_lines = (struct allowance){.per_second = 1, .burst = 1};
  list_init(&all->all);
  json_tape_init(&all->tape);
  return all;
}

bool alerts_idle(const struct alerts *all) {
  return all->count == all->waiting;
}

// ---- one record's ----

static void hold_bytes(struct raised *r, size_t bytes) {
  budget_take(r->stream->courier->options.budget, bytes);
  r->held_bytes += bytes;
}

static void drop(struct raised *r) {
  struct stream *s = r->stream;
  map_remove(&s->alerts, r->item.ordinal);
  if (!s->alerts.count) map_fini(&s->alerts); // a burst is over: give its room back
  list_remove(&r->link);
  s->courier->alerts->count--;
  budget_give(s->courier->options.budget, r->held_bytes);
  outfit_unref(r->outfit);
  buf_fini(&r->text);
  mem_free(r);
}

void alerts_free(struct alerts *all) {
  if (!all) return;
  struct list *link;
  while ((link = list_first(&all->all))) {
    struct raised *r = list_item(link, struct raised, link);
    struct stream *s = r->stream;
    drop(r);
    stream_rest(s);
  }
  loop_timer_fini(&all->timer);
  json_tape_fini(&all->tape);
  mem_free(all);
}

static void end(struct raised *r) {
  struct stream *s = r->stream;
  uint64_t ordinal = r->item.ordinal;
  bool settles = r->settles;
  drop(r);
  if (!s->removed) {
    if (settles) stream_settle(s, ordinal);
    stream_wake(s); // it may have had too many under way
  }
  stream_rest(s);
}

// ---- into the journal ----

static void later(struct raised *r, const char *why) {
  struct alerts *all = r->stream->courier->alerts;
  if (why && allowance_take(&all->log_lines, clock_mono_ns()))
    log_error("stream=%s record=%" PRId64 " doing=alert%s note=\"it will be tried again\"", r->outfit->definition->id, r->item.id,
              log_field("error", why));
  r->waits = true;
  if (!all->waiting++ && !loop_timer_start(all->courier->loop, &all->timer, AGAIN_MS * 1000))
    loop_post(all->courier->loop, &all->at_once);
}

static void stored(struct journal_append *append) {
  struct raised *r = (struct raised *)append;
  if (append->result == JOURNAL_FULL) {
    later(r, "the journal's disk is full");
  } else if (append->result == JOURNAL_FAILED) {
    later(r, "a write to the journal failed: the engine must be restarted");
  } else {
    status_add(&r->stream->status->alerts, append->accepted);
    atomic_fetch_add_explicit(&stored_total, append->accepted, memory_order_relaxed);
    end(r);
  }
}

static void hand_in(struct raised *r) {
  const struct definition *d = r->outfit->definition;
  struct courier *c = r->stream->courier;
  if (c->alerts->waiting || c->alerts->fetching) { // none overtakes those that wait
    later(r, NULL);
    return;
  }
  for (uint32_t i = 0; i < r->count; i++) { // the journal may have changed them
    uint32_t from = i ? r->ends[i - 1] : 0;
    r->headers[i] = (struct record_header){.organisation = d->organisation, .id = alert_record_id(d->id, r->item.sequence, i),
                                           .endpoint = r->item.endpoint, .offset = from, .length = r->ends[i] - from, .kind = RECORD_ALERT};
  }
  r->append = (struct journal_append){.loop = c->loop, .records = r->headers, .count = r->count, .bytes = r->text.at,
                                      .bytes_len = r->text.len, .done = stored};
  if (!journal_append(c->options.journal, &r->append)) later(r, "more waits for the journal than it takes");
}

// ---- the record it was raised by ----

static bool write_text(struct raised *r, struct slice record) {
  struct alert_source source = {.definition = r->outfit->definition, .sequence = r->item.sequence, .id = r->item.id,
                                .kind = r->item.kind, .record = record, .received_ms = r->item.received_ms};
  r->text.len = 0;
  for (uint32_t i = 0; i < r->count; i++) {
    if (!alert_record_write(&source, &r->alerts[i], i, &r->stream->courier->alerts->tape, &r->text)) return false;
    r->ends[i] = (uint32_t)r->text.len;
  }
  return true;
}

static void write_and_hand_in(struct raised *r, const struct journal_block *block) {
  const struct record_header *row = NULL;
  for (uint32_t i = 0; block && i < block->count && !row; i++)
    if (block->rows[i].sequence == r->item.sequence) row = &block->rows[i];
  if (write_text(r, row ? journal_block_record(block, row) : slice_of(""))) {
    hold_bytes(r, r->text.cap);
    hand_in(r);
  } else {
    r->text.len = 0;
    later(r, "out of memory");
  }
}

static void fetched(struct journal_fetch *fetch) {
  struct raised *r = (struct raised *)((char *)fetch - offsetof(struct raised, fetch));
  struct alerts *all = r->stream->courier->alerts;
  all->fetching = false;
  if (r->stream->removed) end(r);
  else if (!fetch->block && fetch->next <= r->item.sequence) later(r, "its record can't be read now");
  else write_and_hand_in(r, fetch->block);
  journal_block_unref(fetch->block);
  if (all->waiting) hand_in_again(all);
}

// With its record: from memory, or from disk; of one that is gone it says less.
static void find_record(struct raised *r) {
  struct courier *c = r->stream->courier;
  if (c->alerts->waiting || c->alerts->fetching) { // none overtakes them
    later(r, NULL);
    return;
  }
  struct journal_block *block = journal_recent(c->options.journal, r->item.sequence);
  if (block) {
    write_and_hand_in(r, block);
    journal_block_unref(block);
    return;
  }
  r->fetch = (struct journal_fetch){.loop = c->loop, .sequence = r->item.sequence, .organisation = r->outfit->definition->organisation,
                                    .done = fetched};
  c->alerts->fetching = true;
  journal_fetch(c->options.journal, &r->fetch);
}

// In the order in which they were raised; those that have to wait again come behind.
static void hand_in_again(struct alerts *all) {
  struct list turn, *link;
  all->waiting = 0;
  list_move(&all->all, &turn);
  while ((link = list_pop(&turn))) {
    struct raised *r = list_item(link, struct raised, link);
    bool waited = r->waits;
    list_push_back(&all->all, link);
    r->waits = false;
    if (!waited) continue;
    if (r->stream->removed) end(r);
    else if (r->text.len) hand_in(r);
    else find_record(r);
  }
}

static void again_due(struct loop_timer *timer) {
  hand_in_again((struct alerts *)((char *)timer - offsetof(struct alerts, timer)));
}

static void again_at_once(struct loop_task *task) {
  hand_in_again((struct alerts *)((char *)task - offsetof(struct alerts, at_once)));
}

// ---- from the harvest ----

static void failed(struct stream *s, const struct harvest_item *item, const struct pool_result *result) {
  char why[STATUS_ERROR_BYTES];
  status_add(&s->status->alert_failures, 1);
  if (!allowance_take(&s->log_lines, clock_mono_ns())) return;
  snprintf(why, sizeof why, "%.*s", (int)(result->alert_error.len < sizeof why ? result->alert_error.len : sizeof why - 1),
           result->alert_error.at);
  log_warn("stream=%s record=%" PRId64 " doing=alert line=%" PRIu32 "%s", s->outfit->definition->id, item->id, result->alert_line,
           log_field("error", why));
}

static bool raise(struct stream *s, const struct harvest_item *item, const struct pool_result *result) {
  struct alerts *all = s->courier->alerts;
  struct raised *r = mem_zero(1, sizeof *r);
  if (!r || !map_put(&s->alerts, item->ordinal, r)) {
    mem_free(r);
    stream_shed(s); // the journal still has all of it
    return false;
  }
  r->stream = s;
  r->outfit = outfit_ref(s->outfit);
  r->item = *item;
  r->count = result->alert_count < SCRIPT_ALERTS ? result->alert_count : SCRIPT_ALERTS;
  memcpy(r->alerts, result->alerts, r->count * sizeof *r->alerts);
  buf_init(&r->text, SCRIPT_ALERTS * LIMIT_ALERT_BYTES);
  list_push_back(&all->all, &r->link);
  all->count++;
  hold_bytes(r, sizeof *r);
  find_record(r);
  return true;
}

bool alerts_take(struct stream *s, const struct harvest_item *item, const struct pool_result *result) {
  if (result->alert_error.len) failed(s, item, result);
  bool may = item->kind != RECORD_ALERT && (result->outcome == SCRIPT_KEPT || result->outcome == SCRIPT_FILTERED);
  if (!result->alert_count || !may || map_get(&s->alerts, item->ordinal)) return true; // the last: run again, they are on their way
  return raise(s, item, result);
}

bool alerts_hold(struct stream *s, uint64_t ordinal) {
  struct raised *r = map_get(&s->alerts, ordinal);
  if (r) r->settles = true;
  return r != NULL;
}

void alerts_keep_settled(struct stream *s) {
  const struct raised *r;
  for (size_t i = 0; (r = map_each(&s->alerts, &i));)
    if (r->settles && window_holds(&s->window, r->item.ordinal)) window_mark(&s->window, r->item.ordinal, WINDOW_READ);
}
