// ahead.c - what a courier will look at soon, asked for ahead of its turn.
//
// Each round follows one pointer more, into memory that the round before has asked for.
#include "base/prefetch.h"
#include "flow/stream.h"

enum { BODY_AHEAD = 4 * PREFETCH_LINE }; // of an output

void ahead_of_matching(struct stream *const *streams, size_t count) {
  for (size_t i = 0; i < count; i++) prefetch(streams[i], STREAM_MATCH_BYTES);
  for (size_t i = 0; i < count; i++) prefetch(streams[i]->status, sizeof *streams[i]->status);
}

static void ask_for_window(const struct window *w) {
  if (w->entries) prefetch(&w->entries[(w->head + w->count) & (w->cap - 1)], 1);
}

void ahead_of_feeding(struct stream *const *streams, size_t count) {
  for (size_t i = 0; i < count; i++) prefetch(streams[i], STREAM_HOT_BYTES);
  for (size_t i = 0; i < count; i++) {
    prefetch(streams[i]->outfit, sizeof *streams[i]->outfit);
    prefetch(streams[i]->status, sizeof *streams[i]->status);
    ask_for_window(&streams[i]->window);
  }
  for (size_t i = 0; i < count; i++) prefetch(streams[i]->outfit->definition, sizeof *streams[i]->outfit->definition);
  for (size_t i = 0; i < count; i++) prefetch(streams[i]->outfit->definition->program, 1);
}

static struct batch *filling_batch(const struct stream *s) {
  const struct lane *lane = s->filling;
  return lane && !list_empty(&lane->batches) ? list_item(lane->batches.prev, struct batch, link) : NULL;
}

void ahead_of_results(const struct harvest_job *h, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) prefetch(h->parts[i].stream, STREAM_HOT_BYTES);
  for (uint32_t i = from; i < to; i++) {
    const struct stream *s = h->parts[i].stream;
    prefetch(s->outfit, sizeof *s->outfit);
    prefetch(s->status, sizeof *s->status);
    if (s->window.entries) prefetch(&s->window.entries[s->window.head], 1);
    lane_ahead(s, &h->items[h->parts[i].first]);
  }
  for (uint32_t i = from; i < to; i++) {
    const struct stream *s = h->parts[i].stream;
    prefetch(s->outfit->definition, sizeof *s->outfit->definition);
    if (s->filling) prefetch(filling_batch(s), sizeof(struct batch));
  }
  for (uint32_t i = from; i < to; i++) {
    const struct batch *b = filling_batch(h->parts[i].stream);
    if (!b || !b->bytes.at || !b->items) continue;
    prefetch(b->bytes.at + b->bytes.len, BODY_AHEAD);
    prefetch(b->items + b->count, sizeof *b->items);
  }
}
