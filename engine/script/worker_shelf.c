#include "script/worker_shelf.h"
#include "base/limits.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

static void *must(void *at) {
  if (!at) _exit(70);
  return at;
}

static void put(struct map *map, uint32_t id, void *value) {
  if (!map_put(map, id, value)) must(NULL);
}

void shelf_init(struct shelf *shelf, const struct script_limits *limits, size_t budget) {
  *shelf = (struct shelf){.limits = *limits, .budget = budget};
  list_init(&shelf->used);
}

static void park_windows(struct shelf_program *program) {
  struct windows *windows = script_take_windows(program->script.script->state, program->id);
  if (windows) program->windows = windows;
}

static void drop_state(struct shelf *shelf, struct shelf_script *script) {
  struct list *link;
  if (!script->state) return;
  while ((link = list_pop(&script->contexts)))
    if (script->role == SCRIPT_STREAM)
      park_windows(list_item(list_item(link, struct shelf_use, set), struct shelf_program, script));
  script->context_count = 0;
  script_free(script->state);
  script->state = NULL;
  shelf->memory -= script->memory;
  script->memory = 0;
  list_remove(&script->used);
}

static void free_script(struct shelf *shelf, struct shelf_script *script) {
  drop_state(shelf, script);
  mem_free((char *)script->source.at);
  mem_free(script->name);
  mem_free(script);
}

static void count_windows(struct shelf *shelf, struct shelf_program *program, size_t bytes) {
  shelf->windows_bytes += bytes - program->windows_bytes;
  program->windows_bytes = bytes;
}

static void free_program(struct shelf *shelf, struct shelf_program *program) {
  count_windows(shelf, program, 0);
  windows_free(program->windows);
  mem_free((char *)program->script.context.at);
  mem_free((char *)program->sink.context.at);
  mem_free(program);
}

void shelf_fini(struct shelf *shelf) {
  void *at;
  for (size_t i = 0; (at = map_each(&shelf->scripts, &i));)
    free_script(shelf, at);
  for (size_t i = 0; (at = map_each(&shelf->programs, &i));)
    free_program(shelf, at);
  map_fini(&shelf->scripts);
  map_fini(&shelf->programs);
}

static struct slice copy(const char *at, size_t len) {
  return slice_make(must(mem_copy(at, len)), len);
}

void shelf_add_script(struct shelf *shelf, const struct message_script *message) {
  if (map_get(&shelf->scripts, message->id)) return;
  const char *name = (const char *)(message + 1);
  struct shelf_script *script = must(mem_zero(1, sizeof *script));
  script->id = message->id;
  script->role = (enum script_role)message->role;
  script->name = must(mem_copy(name, message->name_bytes));
  script->source = copy(name + message->name_bytes, message->source_bytes);
  list_init(&script->contexts);
  put(&shelf->scripts, script->id, script);
}

static struct shelf_use make_use(struct shelf *shelf, uint32_t script, const char *context,
                                 size_t context_bytes) {
  struct shelf_use use = {.script = map_get(&shelf->scripts, script)};
  assert(use.script || script == 0);
  if (!use.script) return use;
  use.script->programs++;
  use.context = copy(context, context_bytes);
  return use;
}

void shelf_add_program(struct shelf *shelf, const struct message_program *message, unsigned client) {
  struct shelf_program *program = shelf_program(shelf, message->id);
  if (!program) {
    const char *context = (const char *)(message + 1);
    program = must(mem_zero(1, sizeof *program));
    program->id = message->id;
    program->script = make_use(shelf, message->script_id, context, message->context_bytes);
    program->sink =
        make_use(shelf, message->sink_id, context + message->context_bytes, message->sink_context_bytes);
    put(&shelf->programs, program->id, program);
  }
  program->clients |= UINT64_C(1) << client;
}

struct shelf_program *shelf_program(const struct shelf *shelf, uint32_t id) {
  return map_get(&shelf->programs, id);
}

static void unset_context(struct shelf_program *program, struct shelf_use *use) {
  if (!list_linked(&use->set)) return;
  list_remove(&use->set);
  use->script->context_count--;
  if (use == &program->script) park_windows(program);
  script_forget_context(use->script->state, program->id);
}

static void end_use(struct shelf *shelf, struct shelf_program *program, struct shelf_use *use) {
  if (!use->script) return;
  unset_context(program, use);
  if (--use->script->programs > 0) return;
  map_remove(&shelf->scripts, use->script->id);
  free_script(shelf, use->script);
}

void shelf_forget(struct shelf *shelf, uint32_t id, unsigned client) {
  struct shelf_program *program = shelf_program(shelf, id);
  if (!program) return;
  program->clients &= ~(UINT64_C(1) << client);
  if (program->clients) return;
  end_use(shelf, program, &program->script);
  end_use(shelf, program, &program->sink);
  map_remove(&shelf->programs, id);
  free_program(shelf, program);
}

static void make_room(struct shelf *shelf, const struct shelf_script *keep) {
  struct list *link = shelf->used.next;
  while (link != &shelf->used && shelf->memory > shelf->budget) {
    struct shelf_script *script = list_item(link, struct shelf_script, used);
    link = link->next;
    if (script != keep) drop_state(shelf, script);
  }
}

static void count(struct shelf *shelf, struct shelf_script *script) {
  size_t now = script_memory(script->state);
  shelf->memory += now - script->memory;
  script->memory = now;
}

static bool load(struct shelf *shelf, struct shelf_script *script, struct err *err) {
  script->state = script_load(script->name, script->source, script->role, &shelf->limits, err);
  if (!script->state) return false;
  script_set_log(script->state, shelf->log, shelf->log_arg);
  script_save_windows(script->state, true);
  script_hold_windows(script->state);
  list_push_back(&shelf->used, &script->used);
  count(shelf, script);
  make_room(shelf, script);
  return true;
}

static bool set_context(struct shelf_program *program, struct shelf_use *use, struct err *err) {
  struct shelf_script *script = use->script;
  if (script->context_count >= LIMIT_WORKER_CONTEXTS) {
    struct shelf_use *oldest = list_item(list_first(&script->contexts), struct shelf_use, set);
    struct shelf_program *owner = script->role == SCRIPT_SINK
                                      ? list_item(oldest, struct shelf_program, sink)
                                      : list_item(oldest, struct shelf_program, script);
    unset_context(owner, oldest);
  }
  if (!script_set_context(script->state, program->id, use->context, err)) return false;
  list_push_back(&script->contexts, &use->set);
  script->context_count++;
  return true;
}

// A state that is full of other programs' contexts is not this program's fault: it gets a new one.
static bool set_context_anew(struct shelf *shelf, struct shelf_program *program, struct shelf_use *use,
                             struct err *err) {
  if (use->script->context_count == 0) return false;
  *err = (struct err){0};
  drop_state(shelf, use->script);
  return load(shelf, use->script, err) && set_context(program, use, err);
}

// Puts windows that wait into the state. False: what was saved of them is not to be had.
static bool give_windows(struct shelf_program *program, struct shelf_use *use, struct err *err) {
  if (use != &program->script) return true;
  if (program->fault[0]) return err_set(err, "%s", program->fault);
  if (!program->windows) return true;
  if (!script_give_windows(use->script->state, program->id, program->windows)) return err_set(err, "out of memory");
  program->windows = NULL;
  return true;
}

static void refresh(struct list *head, struct list *link) {
  if (head->prev == link) return;
  list_remove(link);
  list_push_back(head, link);
}

struct script *shelf_open(struct shelf *shelf, struct shelf_program *program, struct shelf_use *use,
                          struct err *err) {
  struct shelf_script *script = use->script;
  if (!script->state && !load(shelf, script, err)) return NULL;
  if (!list_linked(&use->set) && !set_context(program, use, err) &&
      !set_context_anew(shelf, program, use, err)) {
    drop_state(shelf, script);
    return NULL;
  }
  refresh(&script->contexts, &use->set);
  refresh(&shelf->used, &script->used);
  return give_windows(program, use, err) ? script->state : NULL;
}

bool shelf_windows_fit(const struct shelf *shelf, const struct shelf_program *program,
                       const struct windows *windows) {
  size_t bytes = windows_bytes(windows);
  return bytes <= program->windows_bytes ||
         shelf->windows_bytes - program->windows_bytes + bytes <= LIMIT_WORKER_WINDOWS_BYTES;
}

void shelf_windows_changed(struct shelf *shelf, struct shelf_program *program,
                           const struct windows *windows) {
  count_windows(shelf, program, windows_bytes(windows));
}

static bool load_pairs(struct windows *windows, struct slice rest, struct err *err) {
  struct slice key, value;
  while (windows_next_pair(&rest, &key, &value, err))
    if (!windows_load(windows, key, value, err)) return false;
  return !err->text[0];
}

static void forget_windows(struct shelf *shelf, struct shelf_program *program) {
  windows_free(program->windows);
  program->windows = NULL;
  program->fault[0] = 0;
  count_windows(shelf, program, 0);
}

// What can't be loaded is told by each record that comes: to count on from nothing would be wrong.
void shelf_load_windows(struct shelf *shelf, const struct message_windows *message) {
  struct shelf_program *program = shelf_program(shelf, message->program_id);
  struct err err = {0};
  assert(program);
  if (program->script.script && program->script.script->state) park_windows(program);
  if (message->anew) forget_windows(shelf, program);
  if (program->fault[0] || !message->pairs_bytes) return;
  if (!program->windows) program->windows = must(windows_new(true));
  bool ok = load_pairs(program->windows, slice_make(message + 1, message->pairs_bytes), &err);
  if (ok && !shelf_windows_fit(shelf, program, program->windows))
    ok = err_set(&err, "the windows of all streams in this worker hold %d MB: those of this one do not fit",
                 LIMIT_WORKER_WINDOWS_BYTES >> 20);
  if (ok) {
    shelf_windows_changed(shelf, program, program->windows);
    return;
  }
  forget_windows(shelf, program);
  snprintf(program->fault, sizeof program->fault, "%.*s", (int)sizeof program->fault - 1, err.text);
}

void shelf_look(struct shelf *shelf, struct shelf_use *use) {
  if (use->script->state && script_worn(use->script->state)) drop_state(shelf, use->script);
}

void shelf_settle(struct shelf *shelf, struct shelf_use *use) {
  if (!use->script || !use->script->state) return;
  count(shelf, use->script);
  make_room(shelf, use->script);
}
