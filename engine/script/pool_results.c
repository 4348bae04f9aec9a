// pool_results.c - reading results out of a ring whose writer may be hostile: copied once, then checked, then
// believed.
#include "base/json_scan.h"
#include "base/mem.h"
#include "script/message.h"
#include "script/pool_link.h"

#include <string.h>

enum {
  CHUNK_BYTES = 64 << 10, // copied at a time: stays in the processor's cache
  CHUNK_OUTPUTS = CHUNK_BYTES / sizeof(struct script_output),
};
_Static_assert((int)CHUNK_OUTPUTS >= (int)SCRIPT_OUTPUTS,
               "a longer result, copied alone, has no more outputs");

bool pool_reader_init(struct pool_reader *r) {
  r->copy = mem_alloc(CHUNK_BYTES);
  r->copy_cap = CHUNK_BYTES;
  r->results = mem_zero(LIMIT_JOB_RECORDS, sizeof *r->results);
  r->outputs = mem_zero(CHUNK_OUTPUTS, sizeof *r->outputs);
  return r->copy && r->results && r->outputs;
}

void pool_reader_fini(struct pool_reader *r) {
  mem_free(r->copy);
  mem_free(r->results);
  mem_free(r->outputs);
  *r = (struct pool_reader){0};
}

// ---- checks ----

static bool head_is_right(const struct pool_link *l, const struct pool_reader *r,
                          const struct message_result *head) {
  size_t content = sizeof *head + (size_t)head->output_count * sizeof(struct script_output) +
                   head->alert_count * sizeof(struct script_alert) + head->output_bytes +
                   (size_t)head->text_bytes + head->log_bytes + head->alert_error_bytes;
  enum script_outcome last = pool_is_patient(l->pool, l->worker) ? SCRIPT_MEMORY : SCRIPT_PUT_OFF;
  return head->outcome <= last && head->output_count <= SCRIPT_OUTPUTS &&
         head->alert_count <= SCRIPT_ALERTS && content <= head->bytes &&
         (head->outcome == SCRIPT_KEPT || head->output_count == 0) && head->job == l->first->number &&
         head->index == l->next_index + r->count && head->index < l->first->count;
}

static bool take_output(const struct script_output *o, struct slice bytes, struct pool_output *to) {
  if (o->body_at > bytes.len || o->body_len > bytes.len - o->body_at) return false;
  if (o->key_at > bytes.len || o->key_len > bytes.len - o->key_at) return false;
  *to = (struct pool_output){.body = slice_make(bytes.at + o->body_at, o->body_len),
                             .key = slice_make(bytes.at + o->key_at, o->key_len)};
  return true;
}

void pool_clean(char *text, size_t len) {
  char *end = text + len;
  for (char *p = text; p < end;) {
    const char *bad = NULL;
    size_t step = (unsigned char)*p < 0x80 ? 1 : json_utf8_length(p, end, &bad);
    if (step <= 1 && ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)) *p = '?';
    p += step ? step : 1;
  }
}

void pool_clean_lines(char *text, size_t len) {
  for (char *line = text, *end = text + len; line < end;) {
    char *stop = memchr(line, '\n', (size_t)(end - line));
    if (!stop) stop = end;
    pool_clean(line, (size_t)(stop - line));
    line = stop + 1;
  }
}

static bool take_alert(struct script_alert *alert) {
  size_t key = strnlen(alert->key, sizeof alert->key), title = strnlen(alert->title, sizeof alert->title);
  if (key == sizeof alert->key || title == sizeof alert->title || (unsigned)alert->severity > SCRIPT_CRITICAL)
    return false;
  pool_clean(alert->key, key);
  pool_clean(alert->title, title);
  return true;
}

// `at` is a private copy of head->bytes bytes.
static bool take_result(struct pool_reader *r, const struct message_result *head, char *at) {
  const struct script_output *outputs = (const void *)(at + sizeof *head);
  struct script_alert *alerts = (void *)(at + sizeof *head + head->output_count * sizeof *outputs);
  char *bytes = (char *)(alerts + head->alert_count);
  char *text = bytes + head->output_bytes, *alert_error = text + head->text_bytes + head->log_bytes;
  struct pool_output *to = r->outputs + r->output_count;
  for (uint32_t i = 0; i < head->output_count; i++)
    if (!take_output(&outputs[i], slice_make(bytes, head->output_bytes), &to[i])) return false;
  for (uint32_t i = 0; i < head->alert_count; i++)
    if (!take_alert(&alerts[i])) return false;
  pool_clean(alert_error, head->alert_error_bytes);
  pool_clean(text, head->text_bytes);
  pool_clean_lines(text + head->text_bytes, head->log_bytes);
  r->results[r->count++] =
      (struct pool_result){.outcome = (enum script_outcome)head->outcome,
                           .line = head->line,
                           .spent_ns = head->spent_ns,
                           .text = slice_make(text, head->text_bytes),
                           .log = slice_make(text + head->text_bytes, head->log_bytes),
                           .alerts = alerts,
                           .alert_count = head->alert_count,
                           .alert_error = slice_make(alert_error, head->alert_error_bytes),
                           .alert_line = head->alert_line,
                           .outputs = to,
                           .output_count = head->output_count};
  r->output_count += head->output_count;
  return true;
}

// ---- delivery ----

static void deliver(struct pool_link *l, struct pool_reader *r) {
  uint32_t first = l->next_index, count = r->count;
  l->next_index += count;
  r->count = r->output_count = 0;
  if (count) l->first->results(l->first, first, r->results, count);
}

static void end_done(struct pool_link *l) {
  struct pool_job *job = l->first;
  l->first = job->next;
  if (!l->first) l->last = &l->first;
  l->next_index = 0;
  atomic_fetch_sub(&l->pool->workers[l->worker].outstanding, 1);
  job->ended(job, POOL_DONE, job->count, false, "");
}

// Takes the whole results in `len` bytes of the copy; returns the bytes they took.
static size_t take_copy(struct pool_link *l, struct pool_reader *r, size_t len) {
  size_t used = 0;
  while (len - used >= sizeof(struct message_result)) {
    char *at = r->copy + used;
    const struct message_result *head = (const void *)at;
    if (head->bytes % 8 != 0 || head->bytes < sizeof *head || head->bytes > MESSAGE_RESULT_BYTES)
      l->broken = true;
    if (l->broken || head->bytes > len - used) break;
    if (!l->first || !head_is_right(l, r, head) || !take_result(r, head, at)) l->broken = true;
    if (l->broken) break;
    used += head->bytes;
    if (l->next_index + r->count < l->first->count) continue;
    deliver(l, r);
    end_done(l);
  }
  if (r->count) deliver(l, r);
  return used;
}

static bool grow_copy(struct pool_reader *r, size_t bytes) {
  if (bytes <= r->copy_cap) return true;
  char *grown = mem_grow(r->copy, bytes);
  if (!grown) return false;
  r->copy = grown;
  r->copy_cap = bytes;
  return true;
}

// Copies and takes from a ring that has `ready` bytes. Returns the bytes taken; 0: nonsense, or out of
// memory.
static size_t take_some(struct pool_link *l, struct pool_reader *r, size_t ready) {
  size_t len = ready < CHUNK_BYTES ? ready : CHUNK_BYTES;
  memcpy(r->copy, ring_front(&l->results), len);
  size_t used = take_copy(l, r, len);
  if (used || l->broken) return used;
  // One longer than a chunk, then; its length was checked in the copy, and all of it must have been
  // published.
  uint32_t bytes =
      len < sizeof(struct message_result) ? 0 : ((const struct message_result *)(const void *)r->copy)->bytes;
  if (bytes <= len || bytes > ready) {
    l->broken = true;
    return 0;
  }
  if (!grow_copy(r, bytes)) return 0;
  memcpy(r->copy, ring_front(&l->results), bytes);
  used = take_copy(l, r, bytes);
  if (!used) l->broken = true;
  return used;
}

static void release(struct pool_link *l, size_t bytes) {
  ring_consume(&l->results, bytes);
  if (atomic_exchange(&l->words->worker_waits, 0)) segment_wake(l->process->words);
}

// What is published meanwhile is left for the next call, so that one worker can't hold the loop for ever.
bool pool_link_drain(struct pool_link *l, struct pool_reader *r) {
  if (!l->process || l->broken) return true;
  size_t ready = ring_ready(&l->results), taken = 1;
  while (ready > 0 && taken > 0 && !l->broken) {
    taken = take_some(l, r, ready);
    ready -= taken;
    if (taken) release(l, taken);
  }
  if (l->broken || l->results.broken) pool_link_condemn(l);
  return ready == 0 || l->broken;
}
