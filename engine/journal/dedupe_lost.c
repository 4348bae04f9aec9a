#include "journal/dedupe_lost.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

void dedupe_lost_init(struct dedupe_lost *l) {
  *l = (struct dedupe_lost){0};
  dedupe_ids_init(&l->ids);
}

void dedupe_lost_fini(struct dedupe_lost *l) {
  mem_free(l->at);
  dedupe_lost_init(l);
}

// They are looked for among the first `count`, which are in order.
static struct dedupe_lost_key *find(const struct dedupe_lost *l, size_t count, struct dedupe_key key) {
  size_t from = 0, to = count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (dedupe_key_less(l->at[middle].key, key))
      from = middle + 1;
    else
      to = middle;
  }
  return from < count && !dedupe_key_less(key, l->at[from].key) ? &l->at[from] : NULL;
}

static int by_key(const void *a, const void *b) {
  const struct dedupe_lost_key *x = a, *y = b;
  return dedupe_key_less(y->key, x->key) - dedupe_key_less(x->key, y->key);
}

static size_t room_for(struct dedupe_lost *l, size_t more) {
  size_t left = LIMIT_DEDUPE_LOST - l->count;
  if (more > left) more = left;
  if (l->cap - l->count >= more) return more;
  struct dedupe_lost_key *grown = mem_grow(l->at, (l->count + more) * sizeof *grown);
  if (!grown) return l->cap - l->count;
  l->at = grown;
  l->cap = l->count + more;
  return more;
}

size_t dedupe_lost_add(struct dedupe_lost *l, const struct dedupe_group *group) {
  size_t room = room_for(l, group->count), before = l->count;
  for (size_t i = 0; i < group->count && l->count - before < room; i++)
    if (!find(l, before, group->keys[i])) l->at[l->count++] = (struct dedupe_lost_key){.key = group->keys[i]};
  if (l->count > before) qsort(l->at, l->count, sizeof *l->at, by_key);
  dedupe_ids_join(&l->ids, &group->ids);
  return l->count - before;
}

void dedupe_lost_pardon(struct dedupe_lost *l, const struct dedupe_group *group) {
  if (!l->count || !dedupe_ids_meet(&l->ids, &group->ids)) return;
  for (size_t i = 0; i < group->count; i++) {
    struct dedupe_lost_key *k = find(l, l->count, group->keys[i]);
    if (!k || (k->taken && k->taken != i + 1)) continue;
    l->taken += !k->taken;
    k->taken = i + 1;
    group->duplicate[i] = false;
  }
}

void dedupe_lost_undo(struct dedupe_lost *l) {
  for (size_t i = 0; l->taken && i < l->count; i++)
    l->at[i].taken = 0;
  l->taken = 0;
}

void dedupe_lost_settle(struct dedupe_lost *l) {
  size_t kept = 0;
  if (!l->taken) return;
  for (size_t i = 0; i < l->count; i++)
    if (!l->at[i].taken) l->at[kept++] = l->at[i];
  l->count = kept;
  l->taken = 0;
  if (!kept) dedupe_lost_fini(l);
}
