#include "flow/batch.h"
#include "base/clock.h"
#include "base/mem.h"
#include "journal/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { FRAMING_ROOM = 64 };

struct batch *batch_new(struct budget *budget, enum sink_framing framing, size_t max_bytes) {
  struct batch *b = mem_zero(1, sizeof *b);
  if (!b) return NULL;
  b->budget = budget;
  b->framing = framing;
  buf_init(&b->bytes, max_bytes + FRAMING_ROOM);
  return b;
}

// What the batch holds now is what the budget knows of.
static void charge(struct batch *b) {
  size_t now = b->bytes.cap + b->cap * sizeof *b->items;
  if (now > b->charged) budget_take(b->budget, now - b->charged);
  if (now < b->charged) budget_give(b->budget, b->charged - now);
  b->charged = now;
}

static void give_back(struct batch *b) {
  buf_fini(&b->bytes);
  mem_free(b->items);
  b->items = NULL;
  b->count = b->cap = b->body_bytes = 0;
  charge(b);
}

void batch_free(struct batch *b) {
  if (!b) return;
  assert(!list_linked(&b->link));
  give_back(b);
  mem_free(b);
}

static bool room_for_item(struct batch *b) {
  if (b->count < b->cap) return true;
  uint32_t cap = b->cap ? b->cap * 2 : 1;
  struct batch_item *items = mem_grow(b->items, cap * sizeof *items);
  if (!items) return false;
  b->items = items;
  b->cap = cap;
  return true;
}

static char opening(const struct batch *b) {
  if (b->framing == SINK_ARRAY) return b->count ? ',' : '[';
  return b->framing == SINK_LINES && b->count ? '\n' : 0;
}

static void put_bytes(struct batch *b, struct slice from) {
  memmove(b->bytes.at + b->bytes.len, from.at, from.len);
  b->bytes.len += from.len;
}

// There is room. Body and key may be the batch's own, further behind.
static void put(struct batch *b, struct batch_item item, struct slice body, struct slice key) {
  char open = opening(b);
  if (open) b->bytes.at[b->bytes.len++] = open;
  item.at = (uint32_t)b->bytes.len;
  item.len = (uint32_t)body.len;
  put_bytes(b, body);
  if (key.len) { // only sinks that frame bodies themselves have keys: nothing stands between bodies there
    item.key_at = (uint32_t)b->bytes.len;
    item.key_len = (uint32_t)key.len;
    put_bytes(b, key);
  }
  b->body_bytes += item.len;
  b->items[b->count++] = item;
}

bool batch_add(struct batch *b, const struct batch_output *o) {
  assert(!b->sealed);
  if (!room_for_item(b) || !buf_reserve(&b->bytes, o->body.len + o->key.len + 2)) return false;
  struct batch_item item = {.ordinal = o->ordinal, .sequence = o->sequence, .id = o->id, .number = o->number,
                            .kind = o->kind, .bucket = o->bucket, .last = o->last};
  if (!b->count && !b->hollow) {
    b->first = o->sequence;
    b->first_number = o->number;
    b->begun_ms = clock_ms();
  }
  if (o->sequence > b->last) b->last = o->sequence;
  put(b, item, o->body, o->key);
  b->received_ms = o->received_ms;
  charge(b);
  return true;
}

bool batch_seal(struct batch *b) {
  if (b->sealed) return true;
  const char *end = b->framing == SINK_ARRAY ? "]" : b->framing == SINK_LINES ? "\n" : "";
  if (!buf_append_text(&b->bytes, end)) return false;
  b->sealed = true;
  charge(b);
  return true;
}

struct slice batch_item_body(const struct batch *b, uint32_t i) {
  return slice_make(b->bytes.at + b->items[i].at, b->items[i].len);
}

struct slice batch_item_key(const struct batch *b, uint32_t i) {
  return slice_make(b->bytes.at + b->items[i].key_at, b->items[i].key_len);
}

uint32_t batch_hollow(struct batch *b) {
  for (uint32_t i = 0; i < b->count; i++) {
    if (!b->items[i].last) continue;
    b->missing++;
    if (!b->hollow) b->last = b->items[i].sequence; // a record that only begins here is made again behind it
  }
  give_back(b);
  b->hollow = true;
  b->sealed = false;
  return b->missing;
}

void batch_shrink(struct batch *b) {
  uint32_t count = b->count;
  b->bytes.len = 0;
  b->count = b->body_bytes = 0;
  b->sealed = false;
  for (uint32_t i = 0; i < count; i++)
    if (!b->items[i].gone) put(b, b->items[i], batch_item_body(b, i), batch_item_key(b, i));
  assert(b->count);
  b->first = b->items[0].sequence;
  b->first_number = b->items[0].number;
  b->last = b->items[b->count - 1].sequence;
}

static bool take(struct batch *b, const struct batch *from, uint32_t i) {
  const struct batch_item *item = &from->items[i];
  struct batch_output output = {item->ordinal, item->sequence, item->id, from->received_ms, batch_item_body(from, i),
                                batch_item_key(from, i), item->number, item->kind, item->bucket, item->last};
  return batch_add(b, &output);
}

struct batch *batch_part(const struct batch *b, uint32_t from, uint32_t to) {
  struct batch *part = batch_new(b->budget, b->framing, b->bytes.max - FRAMING_ROOM);
  if (!part) return NULL;
  for (uint32_t i = from; i < to; i++) {
    if (take(part, b, i)) continue;
    batch_free(part);
    return NULL;
  }
  part->begun_ms = b->begun_ms;
  return part;
}

void batch_name(struct batch *b, const char *stream_id) {
  if (b->id[0]) return;
  int len = snprintf(b->id, sizeof b->id, "%s-%" PRIu64, stream_id, b->first);
  if (b->first != b->last) len += snprintf(b->id + len, sizeof b->id - (size_t)len, "-%" PRIu64, b->last);
  if (b->items[0].number) snprintf(b->id + len, sizeof b->id - (size_t)len, ".%" PRIu32, b->items[0].number);
}

// ---- as sinks see it ----

static const struct sink_item *item_of(const struct sink_batch *view, uint32_t i, struct sink_item *room) {
  *room = (struct sink_item){batch_item_key(view->arg, i), batch_item_body(view->arg, i)};
  return room;
}

static const char *kind_of(const struct batch *b) {
  for (uint32_t i = 1; i < b->count; i++)
    if (b->items[i].kind != b->items[0].kind) return "mixed";
  return record_kind_name(b->items[0].kind);
}

struct sink_batch batch_view(const struct batch *b) {
  return (struct sink_batch){.id = b->id, .kind = kind_of(b), .attempt = b->attempt, .now_ms = clock_ms(), .record_count = b->count,
                             .item = item_of, .arg = b, .note = b->has_note ? b->note : NULL};
}
