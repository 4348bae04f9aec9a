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
                   (size_t)head->text_bytes + head->log_bytes + head->alert_text_bytes + head->windows_bytes;
  enum script_outcome last = pool_is_patient(l->pool, l->worker) ? SCRIPT_MEMORY : SCRIPT_PUT_OFF;
  bool failed = head->outcome != SCRIPT_KEPT && head->outcome != SCRIPT_FILTERED;
  bool silent = !head->alert_count && !head->alert_text_bytes && !head->windows_bytes;
  return head->outcome <= last && head->output_count <= SCRIPT_OUTPUTS && content <= head->bytes &&
         head->alert_count <= SCRIPT_ALERTS && head->windows_bytes <= WINDOWS_TAKE_BYTES && (!failed || silent) &&
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

static bool clean_text(char *text, size_t room) {
  size_t len = strnlen(text, room);
  if (len == room) return false;
  pool_clean(text, len);
  return true;
}

static bool take_alerts(struct script_alert *alerts, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    struct script_alert *a = &alerts[i];
    if (!clean_text(a->key, sizeof a->key) || !clean_text(a->title, sizeof a->title)) return false;
    if ((unsigned)a->severity > SCRIPT_CRITICAL || a->for_s > LIMIT_SPAN_S) return false;
  }
  return true;
}

// They are stored as they come, so each must be a pair, with a key that the store takes.
static bool are_pairs(struct slice rest) {
  struct slice key, value;
  struct err err = {0};
  while (windows_next_pair(&rest, &key, &value, &err))
    if (!key.len || key.len > WINDOWS_KEY_BYTES) return false;
  return !err.text[0];
}

// `at` is a private copy of head->bytes bytes.
static bool take_result(struct pool_reader *r, const struct message_result *head, char *at) {
  const struct script_output *outputs = (const void *)(at + sizeof *head);
  struct script_alert *alerts = (void *)(at + sizeof *head + head->output_count * sizeof *outputs);
  char *bytes = (char *)(alerts + head->alert_count);
  char *text = bytes + head->output_bytes, *log = text + head->text_bytes;
  char *alert_text = log + head->log_bytes, *pairs = alert_text + head->alert_text_bytes;
  struct pool_output *to = r->outputs + r->output_count;
  for (uint32_t i = 0; i < head->output_count; i++)
    if (!take_output(&outputs[i], slice_make(bytes, head->output_bytes), &to[i])) return false;
  if (!take_alerts(alerts, head->alert_count)) return false;
  if (head->windows_bytes && !are_pairs(slice_make(pairs, head->windows_bytes))) return false;
  pool_clean(text, head->text_bytes);
  pool_clean_lines(log, head->log_bytes);
  pool_clean(alert_text, head->alert_text_bytes);
  r->results[r->count++] = (struct pool_result){.outcome = (enum script_outcome)head->outcome,
                                                .line = head->line,
                                                .spent_ns = head->spent_ns,
                                                .text = slice_make(text, head->text_bytes),
                                                .log = slice_make(log, head->log_bytes),
                                                .windows = slice_make(pairs, head->windows_bytes),
                                                .alerts = alerts,
                                                .alert_count = head->alert_count,
                                                .alert_line = head->alert_line,
                                                .alert_error = slice_make(alert_text, head->alert_text_bytes),
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
