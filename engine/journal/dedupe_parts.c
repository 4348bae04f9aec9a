#include "journal/dedupe_parts.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 16 }; // keys fetched into the cache before they are asked for

bool dedupe_parts_reserve(struct dedupe_parts *p) {
  if (p->count < p->cap) return true;
  size_t cap = p->cap ? p->cap * 2 : 16;
  struct dedupe_part *grown = mem_grow(p->at, cap * sizeof *grown);
  if (!grown) return false;
  p->at = grown;
  p->cap = cap;
  return true;
}

void dedupe_part_fini(struct dedupe_part *part) {
  dedupe_run_close(part->run);
  if (part->set) dedupe_set_fini(part->set);
  mem_free(part->set);
  *part = (struct dedupe_part){0};
}

void dedupe_parts_fini(struct dedupe_parts *p) {
  for (size_t i = 0; i < p->count; i++)
    dedupe_part_fini(&p->at[i]);
  mem_free(p->at);
  *p = (struct dedupe_parts){0};
}

size_t dedupe_parts_bytes(const struct dedupe_parts *p) {
  size_t sum = 0;
  for (size_t i = 0; i < p->count; i++)
    sum += p->at[i].run ? dedupe_run_filter_bytes(p->at[i].run) : dedupe_set_bytes(p->at[i].set);
  return sum;
}

static bool ends_with(const char *name, const char *end) {
  size_t len = strlen(name), tail = strlen(end);
  return len > tail && strcmp(name + len - tail, end) == 0;
}

static bool take_file(struct dedupe_parts *p, const char *path, uint64_t brand) {
  struct err why = {0};
  if (ends_with(path, ".tmp")) return unlink(path) == 0 || true;
  if (!ends_with(path, ".run")) return true;
  if (!dedupe_parts_reserve(p)) return false;
  struct dedupe_run *run = dedupe_run_open(path, brand, &why);
  if (run) {
    p->at[p->count++] = (struct dedupe_part){.run = run, .span = run->span};
  } else {
    log_warn("dedupe=%s doing=open error=\"%s\"", path, why.text);
    unlink(path);
  }
  return true;
}

// By first sequence, of two that begin together the longer one first.
static int by_first(const void *a, const void *b) {
  const struct dedupe_part *x = a, *y = b;
  if (x->span.first != y->span.first) return x->span.first < y->span.first ? -1 : 1;
  return (x->span.end < y->span.end) - (x->span.end > y->span.end);
}

static void remove_covered(struct dedupe_parts *p) {
  size_t kept = 0;
  for (size_t i = 0; i < p->count; i++) {
    if (kept && p->at[i].span.end <= p->at[kept - 1].span.end) {
      unlink(p->at[i].run->path);
      dedupe_part_fini(&p->at[i]);
    } else {
      p->at[kept++] = p->at[i];
    }
  }
  p->count = kept;
}

bool dedupe_parts_scan(struct dedupe_parts *p, const char *folder, uint64_t brand, struct err *err) {
  DIR *dir = opendir(folder);
  if (!dir) return err_set_errno(err, "cannot read the folder %s", folder);
  bool done = true;
  for (struct dirent *entry; done && (entry = readdir(dir));) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < PATH_MAX)
      done = take_file(p, path, brand);
  }
  closedir(dir);
  if (!done) return err_set(err, "out of memory");
  if (p->count) qsort(p->at, p->count, sizeof *p->at, by_first);
  remove_covered(p);
  return true;
}

static void mark_by_run(const struct dedupe_run *run, const struct dedupe_group *g) {
  const struct dedupe_key *keys = g->keys;
  for (size_t i = 0; i < g->count && i < AHEAD; i++)
    __builtin_prefetch(dedupe_run_line(run, keys[i]));
  for (size_t i = 0; i < g->count; i++) {
    if (i + AHEAD < g->count) __builtin_prefetch(dedupe_run_line(run, keys[i + AHEAD]));
    if (dedupe_run_may_have(run, keys[i]) && dedupe_run_has(run, keys[i])) g->duplicate[i] = true;
  }
}

static void mark_by_set(const struct dedupe_set *set, const struct dedupe_group *g) {
  for (size_t i = 0; i < g->count; i++) {
    if (i + AHEAD < g->count) dedupe_set_prefetch(set, g->keys[i + AHEAD]);
    if (dedupe_set_has(set, g->keys[i])) g->duplicate[i] = true;
  }
}

void dedupe_parts_mark(const struct dedupe_parts *p, const struct dedupe_group *group) {
  for (size_t i = 0; i < p->count; i++) {
    const struct dedupe_part *part = &p->at[i];
    if (!dedupe_ids_meet(&part->span.ids, &group->ids)) continue;
    if (part->run)
      mark_by_run(part->run, group);
    else
      mark_by_set(part->set, group);
  }
}

// How often a run was merged, by its size.
static unsigned level(size_t keys, size_t least) {
  unsigned n = 0;
  for (size_t bound = 2 * least; keys > bound; bound *= DEDUPE_MERGE_RUNS)
    n++;
  return n;
}

static bool fits(const struct dedupe_part *first, const struct dedupe_merge_limits *limits) {
  size_t keys = 0;
  unsigned of_first = level(dedupe_part_count(first), limits->least);
  for (size_t i = 0; i < DEDUPE_MERGE_RUNS; i++) {
    if (!first[i].run || level(first[i].run->count, limits->least) != of_first) return false;
    keys += first[i].run->count;
  }
  return keys <= limits->most &&
         first[DEDUPE_MERGE_RUNS - 1].span.newest_ms - first->span.oldest_ms <= limits->span_ms;
}

bool dedupe_parts_to_merge(const struct dedupe_parts *p, const struct dedupe_merge_limits *limits,
                           size_t *from, size_t *to) {
  for (size_t i = p->count; i >= DEDUPE_MERGE_RUNS; i--) {
    if (!fits(&p->at[i - DEDUPE_MERGE_RUNS], limits)) continue;
    *from = i - DEDUPE_MERGE_RUNS;
    *to = i;
    return true;
  }
  return false;
}

struct dedupe_run *dedupe_parts_write(const struct dedupe_part *frozen, const char *folder, uint64_t brand,
                                      struct err *err) {
  struct dedupe_writer writer = {0};
  struct dedupe_run *run = NULL;
  size_t count = frozen->set->count;
  struct dedupe_key *sorted = mem_alloc(count * sizeof *sorted);
  if (!sorted) {
    err_set(err, "out of memory");
    return NULL;
  }
  dedupe_set_sorted(frozen->set, sorted);
  if (dedupe_writer_init(&writer, folder, &frozen->span, brand, count, err)) {
    for (size_t i = 0; i < count; i++)
      dedupe_writer_put(&writer, sorted[i]);
    run = dedupe_writer_finish(&writer, err);
  }
  dedupe_writer_fini(&writer);
  mem_free(sorted);
  return run;
}

static void merge_keys(const struct dedupe_part *parts, size_t count, struct dedupe_writer *writer) {
  size_t next[DEDUPE_MERGE_RUNS] = {0};
  for (;;) {
    const struct dedupe_key *least = NULL;
    size_t of = 0;
    for (size_t i = 0; i < count; i++) {
      if (next[i] == parts[i].run->count) continue;
      const struct dedupe_key *key = &parts[i].run->keys[next[i]];
      if (!least || dedupe_key_less(*key, *least)) least = key, of = i;
    }
    if (!least) return;
    dedupe_writer_put(writer, *least);
    next[of]++;
  }
}

struct dedupe_run *dedupe_parts_merge(const struct dedupe_part *first, size_t count, const char *folder,
                                      uint64_t brand, struct err *err) {
  struct dedupe_writer writer = {0};
  struct dedupe_run *run = NULL;
  size_t keys = 0;
  struct dedupe_span span = first->span;
  for (size_t i = 0; i < count; i++) {
    keys += first[i].run->count;
    dedupe_ids_join(&span.ids, &first[i].span.ids);
  }
  span.end = first[count - 1].span.end;
  span.newest_ms = first[count - 1].span.newest_ms;
  if (dedupe_writer_init(&writer, folder, &span, brand, keys, err)) {
    merge_keys(first, count, &writer);
    run = dedupe_writer_finish(&writer, err);
  }
  dedupe_writer_fini(&writer);
  return run;
}
