#include "script/announce.h"
#include "base/limits.h"
#include "script/message.h"

#include <string.h>

_Static_assert((int)LIMIT_RING_BYTES > LIMIT_RECORD_BYTES + LIMIT_PROGRAM_BYTES + (256 << 10) + 4096,
               "the longest record and all that goes before it fit in an empty ring");
enum {
  FORGET_BYTES = 256 << 10
}; // of ids that wait; all go in one message, before the program is told of that may be one of them

void announce_init(struct announce *a) {
  *a = (struct announce){0};
  buf_init(&a->forgotten, FORGET_BYTES);
}

void announce_fini(struct announce *a) {
  map_fini(&a->programs);
  map_fini(&a->scripts);
  buf_fini(&a->forgotten);
}

// ---- which scripts the worker has: those of the programs it has ----

static void *counter(size_t count) {
  return (void *)(uintptr_t)count;
}

static bool has_script(const struct announce *a, uint32_t id) {
  return id == 0 || map_get(&a->scripts, id);
}

// Out of memory, they are told again next time, which does no harm.
static void learn_script(struct announce *a, uint32_t id) {
  if (id) map_put(&a->scripts, id, counter((uintptr_t)map_get(&a->scripts, id) + 1));
}

static void unlearn_script(struct announce *a, uint32_t id) {
  size_t count = id ? (uintptr_t)map_get(&a->scripts, id) : 0;
  if (count > 1) map_put(&a->scripts, id, counter(count - 1)); // replaces, so it can't fail
  if (count == 1) map_remove(&a->scripts, id);
}

// ---- messages ----

static size_t script_bytes(const char *name, struct slice source) {
  return message_pad(sizeof(struct message_script) + strlen(name) + source.len);
}

static size_t program_bytes(const struct program *p) {
  return message_pad(sizeof(struct message_program) + p->context.len + p->sink_context.len);
}

static size_t forgotten_bytes(const struct announce *a) {
  return a->forgotten.len ? message_pad(sizeof(struct message_forget) + a->forgotten.len) : 0;
}

bool announce_knows(const struct announce *a, uint32_t program) {
  return map_get(&a->programs, program) != NULL;
}

size_t announce_bytes(const struct announce *a, const struct program *p) {
  size_t bytes = forgotten_bytes(a);
  if (map_get(&a->programs, p->id)) return bytes;
  if (!has_script(a, p->script_id)) bytes += script_bytes(p->script_name, p->script);
  if (!has_script(a, p->sink_id)) bytes += script_bytes(p->sink_name, p->sink);
  return bytes + program_bytes(p);
}

static void write_script(struct ring *ring, uint32_t id, enum script_role role, const char *name,
                         struct slice source) {
  struct message_script m = {.id = id, .role = role, .source_bytes = (uint32_t)source.len};
  m.name_bytes = (uint32_t)strlen(name);
  m.head = (struct message){.bytes = (uint32_t)script_bytes(name, source), .kind = MESSAGE_SCRIPT};
  char *at = message_append(ring_back(ring), &m, sizeof m);
  at = message_append(at, name, m.name_bytes);
  message_append(at, source.at, source.len);
  ring_advance(ring, m.head.bytes);
}

static void write_program(struct ring *ring, const struct program *p) {
  struct message_program m = {.id = p->id, .script_id = p->script_id, .sink_id = p->sink_id};
  m.head = (struct message){.bytes = (uint32_t)program_bytes(p), .kind = MESSAGE_PROGRAM};
  m.context_bytes = (uint32_t)p->context.len;
  m.sink_context_bytes = (uint32_t)p->sink_context.len;
  char *at = message_append(ring_back(ring), &m, sizeof m);
  at = message_append(at, p->context.at, p->context.len);
  message_append(at, p->sink_context.at, p->sink_context.len);
  ring_advance(ring, m.head.bytes);
}

static void write_forgotten(struct announce *a, struct ring *ring) {
  size_t bytes = forgotten_bytes(a);
  if (!bytes) return;
  struct message_forget m = {.count = (uint32_t)(a->forgotten.len / sizeof(uint32_t))};
  m.head = (struct message){.bytes = (uint32_t)bytes, .kind = MESSAGE_FORGET};
  char *at = message_append(ring_back(ring), &m, sizeof m);
  message_append(at, a->forgotten.at, a->forgotten.len);
  a->forgotten.len = 0;
  ring_advance(ring, bytes);
}

void announce_write(struct announce *a, struct ring *ring, const struct program *p) {
  write_forgotten(a, ring);
  if (map_get(&a->programs, p->id)) return;
  if (!has_script(a, p->script_id))
    write_script(ring, p->script_id, SCRIPT_STREAM, p->script_name, p->script);
  if (!has_script(a, p->sink_id)) write_script(ring, p->sink_id, SCRIPT_SINK, p->sink_name, p->sink);
  write_program(ring, p);
  if (!map_put(&a->programs, p->id, counter(1))) return;
  learn_script(a, p->script_id);
  learn_script(a, p->sink_id);
}

void announce_forget(struct announce *a, const struct program *p) {
  if (!map_remove(&a->programs, p->id)) return;
  unlearn_script(a, p->script_id);
  unlearn_script(a, p->sink_id);
  buf_append(&a->forgotten, &p->id, sizeof p->id); // out of memory: the worker keeps it
}
