// pool_client.c - a courier's side of all workers: jobs written into their rings, and the bell that says
// there are results.
#include "base/mem.h"
#include "script/message.h"
#include "script/pool_link.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

enum {
  RETRY_US = 100000,                                                                   // after memory was out
  JOB_ROOM = LIMIT_JOB_BYTES + LIMIT_JOB_RECORDS * (sizeof(struct message_record) + 8), // a full job's
};

struct pool_client {
  struct pool *pool;
  struct loop *loop;
  struct pool_client_events events;
  unsigned number;
  struct loop_watch bell;
  struct loop_timer retry;
  struct pool_reader reader;
  uint64_t last_job;

  unsigned link_count;
  struct pool_link links[];
};

// ---- results, room, and workers that were replaced ----

static bool serve_link(struct pool_client *c, struct pool_link *l) {
  bool ok = pool_link_follow(l, &c->reader) && pool_link_drain(l, &c->reader);
  pool_link_arm(l);
  ok = ok && pool_link_drain(l, &c->reader);
  if (l->wanted && pool_link_has_room(l, l->wanted)) {
    l->wanted = 0;
    c->events.room(c, l->worker, c->events.arg);
  }
  return ok;
}

static void serve(struct pool_client *c) {
  bool ok = true;
  for (unsigned i = 0; i < c->link_count; i++)
    ok &= serve_link(c, &c->links[i]);
  if (!ok) loop_timer_start(c->loop, &c->retry, RETRY_US);
}

static void bell_rings(struct loop_watch *watch, int fd) {
  struct pool_client *c = (struct pool_client *)((char *)watch - offsetof(struct pool_client, bell));
  uint64_t count;
  ssize_t ignored = read(fd, &count, sizeof count); // before the look, so that a later ring is another
  (void)ignored;
  serve(c);
}

static void retry(struct loop_timer *timer) {
  serve((struct pool_client *)((char *)timer - offsetof(struct pool_client, retry)));
}

// ---- the client ----

static bool take_place(struct pool_client *c, struct err *err) {
  c->number = atomic_fetch_add(&c->pool->clients, 1);
  if (c->number < LIMIT_POOL_CLIENTS) return true;
  atomic_fetch_sub(&c->pool->clients, 1);
  return err_set(err, "a pool has at most %d clients", LIMIT_POOL_CLIENTS);
}

static bool open_client(struct pool_client *c, struct err *err) {
  if (!take_place(c, err)) return false;
  c->bell.run = bell_rings;
  c->retry.run = retry;
  for (; c->link_count < c->pool->worker_count; c->link_count++)
    pool_link_init(&c->links[c->link_count], c->pool, c->link_count, c->number);
  if (!pool_reader_init(&c->reader)) return err_set(err, "out of memory");
  if (!loop_watch_start(c->loop, &c->bell, c->pool->bells[c->number])) return err_set(err, "out of memory");
  serve(c);
  return true;
}

struct pool_client *pool_client_new(struct pool *pool, struct loop *loop,
                                    const struct pool_client_events *events, struct err *err) {
  struct pool_client *c = mem_zero(1, sizeof *c + pool->worker_count * sizeof c->links[0]);
  if (!c) {
    err_set(err, "out of memory");
    return NULL;
  }
  c->pool = pool;
  c->loop = loop;
  c->events = *events;
  if (open_client(c, err)) return c;
  pool_client_free(c);
  return NULL;
}

void pool_client_free(struct pool_client *c) {
  if (!c) return;
  loop_watch_fini(&c->bell);
  loop_timer_fini(&c->retry);
  for (unsigned i = 0; i < c->link_count; i++)
    pool_link_fini(&c->links[i]);
  pool_reader_fini(&c->reader);
  mem_free(c);
}

// ---- jobs ----

// Asks for a full job's room, lest jobs get small when a ring is full.
bool pool_begin(struct pool_client *c, unsigned worker, const struct program *program, struct pool_job *job,
                size_t first_record_bytes) {
  struct pool_link *l = &c->links[worker];
  assert(worker < c->link_count && !l->open.job);
  size_t records = message_record_bytes(first_record_bytes), head = sizeof(struct message_job);
  size_t want = announce_bytes(&l->announce, program) + head + (records > JOB_ROOM ? records : JOB_ROOM);
  if (!pool_link_has_room(l, want)) {
    l->wanted = want;
    return false;
  }
  announce_write(&l->announce, &l->requests, program);
  job->count = 0;
  job->number = ++c->last_job;
  l->open = (struct pool_open){.job = job,
                               .head = (void *)ring_back(&l->requests),
                               .at = l->requests.own,
                               .program = program->id};
  ring_advance(&l->requests, head);
  return true;
}

bool pool_add(struct pool_client *c, unsigned worker, const struct program *program,
              const struct record_header *header, struct slice bytes) {
  struct pool_link *l = &c->links[worker];
  struct pool_job *job = l->open.job;
  size_t take = message_record_bytes(bytes.len);
  if (job->count && (job->count >= LIMIT_JOB_RECORDS || l->open.bytes + bytes.len > LIMIT_JOB_BYTES))
    return false;
  if (program->id != l->open.program && !announce_knows(&l->announce, program->id)) return false;
  if (!ring_has_room(&l->requests, take)) return false;
  struct message_record *to = (void *)ring_back(&l->requests);
  *to = (struct message_record){.program_id = program->id, .header = *header};
  to->header.length = (uint32_t)bytes.len;
  memcpy(to + 1, bytes.at, bytes.len);
  ring_advance(&l->requests, take);
  l->open.program = program->id;
  l->open.bytes += bytes.len;
  job->count++;
  return true;
}

void pool_commit(struct pool_client *c, unsigned worker) {
  struct pool_link *l = &c->links[worker];
  struct pool_job *job = l->open.job;
  assert(job->count > 0);
  *l->open.head =
      (struct message_job){.head = {.bytes = (uint32_t)(l->requests.own - l->open.at), .kind = MESSAGE_JOB},
                           .number = job->number,
                           .count = job->count};
  l->open.job = NULL;
  pool_link_add_job(l, job);
  pool_job_begins(c->pool, l->worker);
  ring_publish(&l->requests);
  segment_wake(l->process->words);
}

unsigned pool_life(const struct pool_client *c, unsigned worker) {
  return c->links[worker].generation;
}

bool pool_load_windows(struct pool_client *c, unsigned worker, const struct program *program,
                       struct slice pairs, bool anew) {
  struct pool_link *l = &c->links[worker];
  assert(worker < c->link_count && !l->open.job);
  size_t bytes = message_pad(sizeof(struct message_windows) + pairs.len);
  size_t want = announce_bytes(&l->announce, program) + bytes;
  if (!pool_link_has_room(l, want)) {
    l->wanted = want;
    return false;
  }
  announce_write(&l->announce, &l->requests, program);
  const struct message_windows head = {.head = {.bytes = (uint32_t)bytes, .kind = MESSAGE_WINDOWS},
                                       .program_id = program->id,
                                       .pairs_bytes = (uint32_t)pairs.len,
                                       .anew = anew};
  char *to = ring_back(&l->requests);
  message_append(message_append(to, &head, sizeof head), pairs.at, pairs.len);
  ring_advance(&l->requests, bytes);
  ring_publish(&l->requests);
  segment_wake(l->process->words);
  return true;
}

void pool_forget(struct pool_client *c, struct program *program) {
  for (unsigned i = 0; i < c->link_count; i++)
    announce_forget(&c->links[i].announce, program);
}
