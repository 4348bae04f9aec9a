#include "script/program.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

struct source {        // one script's text, shared by all programs that run it
  struct source *next; // of the same hash
  uint64_t hash;
  int64_t scope;
  bool sink;
  uint32_t id;
  unsigned refs;
  const char *name;
  struct slice text;
  char bytes[];
};

struct counted {
  struct program program; // first
  atomic_uint refs;
  struct source *script, *sink; // NULL: none
  char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all that follows
static struct map sources;                               // by hash
static uint32_t last_source;
static atomic_uint last_program;

static struct source *find(const struct source *want) {
  struct source *s = map_get(&sources, want->hash);
  while (s && !(s->scope == want->scope && s->sink == want->sink && slice_equal(s->text, want->text) &&
                strcmp(s->name, want->name) == 0))
    s = s->next;
  return s;
}

static struct source *add(const struct source *want) {
  size_t name_bytes = strlen(want->name) + 1;
  struct source *s = mem_alloc(sizeof *s + name_bytes + want->text.len);
  if (!s) return NULL;
  *s = *want;
  s->name = memcpy(s->bytes, want->name, name_bytes);
  s->text = slice_make(memcpy(s->bytes + name_bytes, want->text.at, want->text.len), want->text.len);
  s->next = map_get(&sources, want->hash);
  if (!map_put(&sources, want->hash, s)) {
    mem_free(s);
    return NULL;
  }
  s->refs = 0;
  s->id = ++last_source;
  return s;
}

static struct source *source_ref(struct slice text, const char *name, int64_t scope, bool sink) {
  struct source want = {.text = text, .name = name ? name : "script", .scope = scope, .sink = sink};
  want.hash = hash_bytes(text.at, text.len, hash_u64((uint64_t)scope) + sink);
  pthread_mutex_lock(&lock);
  struct source *s = find(&want);
  if (!s) s = add(&want);
  if (s) s->refs++;
  pthread_mutex_unlock(&lock);
  return s;
}

static void unlink_source(struct source *s) {
  struct source *head = map_get(&sources, s->hash);
  if (head == s && !s->next) {
    map_remove(&sources, s->hash);
  } else if (head == s) {
    map_put(&sources, s->hash, s->next); // replaces, so it can't fail
  } else {
    while (head->next != s)
      head = head->next;
    head->next = s->next;
  }
}

static void source_unref(struct source *s) {
  if (!s) return;
  pthread_mutex_lock(&lock);
  bool last = --s->refs == 0;
  if (last) unlink_source(s);
  pthread_mutex_unlock(&lock);
  if (last) mem_free(s);
}

static struct slice copy_into(char **at, struct slice from) {
  char *copy = *at;
  if (from.len) memcpy(copy, from.at, from.len);
  *at += from.len;
  return slice_make(copy, from.len);
}

static bool take_sources(struct counted *c, const struct program *from, int64_t script_scope) {
  if (from->script.len) {
    c->script = source_ref(from->script, from->script_name, script_scope, false);
    if (!c->script) return false;
    c->program.script_id = c->script->id;
    c->program.script = c->script->text;
    c->program.script_name = c->script->name;
  }
  if (from->sink.len) {
    c->sink = source_ref(from->sink, from->sink_name, 0, true);
    if (!c->sink) return false;
    c->program.sink_id = c->sink->id;
    c->program.sink = c->sink->text;
    c->program.sink_name = c->sink->name;
  }
  return true;
}

struct program *program_new(const struct program *from, int64_t script_scope) {
  size_t contexts = from->context.len + from->sink_context.len;
  if (contexts + from->script.len + from->sink.len > LIMIT_PROGRAM_BYTES) return NULL;
  struct counted *c = mem_zero(1, sizeof *c + contexts);
  if (!c) return NULL;
  char *at = c->bytes;
  c->program.context = copy_into(&at, from->context);
  c->program.sink_context = copy_into(&at, from->sink_context);
  atomic_init(&c->refs, 1);
  if (!take_sources(c, from, script_scope)) {
    program_unref(&c->program);
    return NULL;
  }
  c->program.id = atomic_fetch_add(&last_program, 1) + 1;
  return &c->program;
}

void program_ref(struct program *program) {
  atomic_fetch_add_explicit(&((struct counted *)program)->refs, 1, memory_order_relaxed);
}

void program_unref(struct program *program) {
  struct counted *c = (struct counted *)program;
  if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1) return;
  source_unref(c->script);
  source_unref(c->sink);
  mem_free(c);
}

char *program_context(const char *id, const char *name, const int64_t *organisation, const char *field, const json_t *value) {
  json_t *number = organisation ? json_integer(*organisation) : json_null();
  json_t *context = json_pack("{s:{s:s, s:s, s:o}, s:O}", "stream", "id", id, "name", name, "organisation_id", number, field,
                              (json_t *)(uintptr_t)value);
  char *text = context ? json_dumps(context, JSON_COMPACT) : NULL;
  json_decref(context);
  return text;
}
