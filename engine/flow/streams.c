#include "flow/streams_parts.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct streams *streams_new(const struct streams_options *options, struct err *err) {
  struct streams *all = mem_zero(1, sizeof *all);
  if (!all) return err_set(err, "out of memory"), NULL;
  all->options = *options;
  list_init(&all->undoing);
  return all;
}

static void entry_free(struct stream_entry *entry) {
  definition_unref(entry->definition);
  status_unref(entry->status);
  mem_free(entry);
}

static void forget_undoing(struct streams *all);

void streams_free(struct streams *all) {
  if (!all) return;
  forget_undoing(all);
  for (size_t i = 0; i < all->count; i++) entry_free(all->entries[i]);
  mem_free(all->entries);
  mem_free(all);
}

size_t streams_count(const struct streams *all) {
  return all->count;
}

const struct stream_entry *streams_at(const struct streams *all, size_t i) {
  return all->entries[i];
}

static size_t place_of(const struct streams *all, const char *id) { // the first that is not less
  size_t from = 0, to = all->count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (strcmp(all->entries[middle]->definition->id, id) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

const struct stream_entry *streams_find(const struct streams *all, const char *id) {
  size_t i = place_of(all, id);
  return i < all->count && strcmp(all->entries[i]->definition->id, id) == 0 ? all->entries[i] : NULL;
}

size_t streams_behind(const struct streams *all, const char *id) {
  size_t i = place_of(all, id);
  return i < all->count && strcmp(all->entries[i]->definition->id, id) == 0 ? i + 1 : i;
}

struct stream_entry *streams_insert(struct streams *all, struct definition *definition) {
  struct stream_entry *entry = mem_zero(1, sizeof *entry);
  if (entry) entry->status = status_new();
  if (entry && entry->status && all->count == all->cap) {
    size_t cap = all->cap ? all->cap * 2 : 64;
    struct stream_entry **entries = mem_grow(all->entries, cap * sizeof *entries);
    if (entries) all->entries = entries, all->cap = cap;
  }
  if (!entry || !entry->status || all->count == all->cap) {
    if (entry) status_unref(entry->status);
    mem_free(entry);
    return NULL;
  }
  entry->definition = definition;
  streams_listen(all, entry);
  size_t i = place_of(all, definition->id);
  memmove(all->entries + i + 1, all->entries + i, (all->count - i) * sizeof *all->entries);
  all->entries[i] = entry;
  all->count++;
  return entry;
}

static void take_out(struct streams *all, struct stream_entry *entry) {
  size_t i = place_of(all, entry->definition->id);
  memmove(all->entries + i, all->entries + i + 1, (--all->count - i) * sizeof *all->entries);
  entry_free(entry);
}

struct courier *streams_courier(const struct streams *all, const struct definition *definition) {
  uint64_t h = hash_bytes(definition->id, strlen(definition->id), 7);
  return all->options.couriers[h % all->options.courier_count];
}

void streams_probe(struct streams *all, const struct stream_entry *entry, struct probe *probe) {
  probe->definition = entry->definition;
  probe->reply = all->options.loop;
  probe_begin(streams_courier(all, entry->definition), probe);
}

// ---- a change and its stages ----

enum stage_kind { CREATE, CHANGE, RENEW, REMOVE }; // RENEW: a change that nobody asked for by a request
enum { UNDO_AGAIN_MS = 1000 };

struct change {
  struct streams *all;
  enum stage_kind kind;
  struct stream_entry *entry; // CREATE: made when stored
  struct definition *next;    // CREATE, CHANGE
  bool resume;
  bool goes_back; // to the script's version before, with the records that the present one failed for
  bool untried; // its script was tried for streams like it, or ran before
  streams_done done;
  void *arg;
  struct pool_check check;
  struct script_trial trial;
  struct store_write write;
  struct store_change changes[1 + SCRIPT_VERSIONS_CHANGES];
  struct script_versions versions;
  char id[DEFINITION_ID_BYTES];
  struct courier_command command;
  struct loop_timer timer; // to take it back
  struct list undoing_link;
};

static void change_free(struct change *c) {
  list_remove(&c->undoing_link);
  loop_timer_fini(&c->timer);
  definition_unref(c->next);
  mem_free(c);
}

static void forget_undoing(struct streams *all) {
  struct list *link;
  while ((link = list_first(&all->undoing))) change_free(list_item(link, struct change, undoing_link));
}

// Once; what is left to do after it is nobody's to wait for.
static void answer(struct change *c, enum streams_outcome outcome, const struct err *err) {
  struct streams_answer answer = {.outcome = outcome, .id = c->id, .undelivered = c->command.undelivered};
  if (err) answer.err = *err;
  if (outcome == STREAMS_DONE && c->kind != REMOVE) answer.entry = c->entry;
  if (c->done) c->done(&answer, c->arg);
  c->done = NULL;
}

static void finish(struct change *c, enum streams_outcome outcome, const struct err *err) {
  struct streams *all = c->all;
  struct stream_entry *entry = c->entry;
  if (entry) entry->changing = false;
  if (c->kind == REMOVE && outcome == STREAMS_DONE) {
    take_out(all, entry);
    entry = NULL;
  }
  answer(c, outcome, err);
  if (entry && c->kind != RENEW && all->changed) all->changed(all->changed_arg, entry);
  change_free(c);
  if (entry && entry->alarmed) streams_roll_back(entry);
}

static struct change *begin(struct streams *all, enum stage_kind kind, const struct stream_entry *entry, streams_done done, void *arg) {
  struct streams_answer answer = {.outcome = STREAMS_FAILED, .id = entry ? entry->definition->id : NULL};
  struct change *c = NULL;
  if (entry && entry->changing) {
    answer.outcome = STREAMS_BUSY;
    err_set(&answer.err, "another change of this stream is under way: try again");
  } else if (!(c = mem_zero(1, sizeof *c))) {
    err_set(&answer.err, "out of memory");
  }
  if (!c) {
    done(&answer, arg);
    return NULL;
  }
  c->all = all;
  c->kind = kind;
  c->entry = (struct stream_entry *)entry;
  c->done = done;
  c->arg = arg;
  if (entry) {
    c->entry->changing = true;
    memcpy(c->id, entry->definition->id, sizeof c->id);
  }
  return c;
}

static void undo(struct change *c);

static void undo_due(struct loop_timer *timer) {
  undo((struct change *)((char *)timer - offsetof(struct change, timer)));
}

// Until it is taken back, a restart would find what the courier refused: whoever asked is told, and it is tried again.
static void undo_later(struct change *c, const char *why) {
  struct err err = {0};
  log_error("stream=%s doing=undo%s note=\"it will be tried again\"", c->id, log_field("error", why));
  err_set(&err, "%.200s; and the store could not be set back: %.200s (it is tried again)", c->command.err.text, why);
  answer(c, STREAMS_FAILED, &err);
  c->timer.run = undo_due;
  list_push_back(&c->all->undoing, &c->undoing_link);
  if (!loop_timer_start(c->all->options.loop, &c->timer, UNDO_AGAIN_MS * 1000)) finish(c, STREAMS_FAILED, &err);
}

static void undone(struct store_write *write) {
  struct change *c = (struct change *)((char *)write - offsetof(struct change, write));
  struct err why = c->command.err;
  if (write->ok) finish(c, STREAMS_REFUSED, &why);
  else undo_later(c, write->err.text);
}

// The courier can't use what was stored: the store goes back to what was.
static void undo(struct change *c) {
  list_remove(&c->undoing_link);
  if (c->kind == CREATE && c->entry) {
    take_out(c->all, c->entry);
    c->entry = NULL;
  }
  c->changes[0].value = c->kind == CREATE ? (struct slice){0} : c->entry->definition->document;
  if (c->kind == CREATE) c->changes[1] = script_versions_forget(&c->versions, c->id); // of a change they go with the next one
  c->write = (struct store_write){.loop = c->all->options.loop, .changes = c->changes, .count = c->kind == CREATE ? 2 : 1, .done = undone};
  store_submit(c->all->options.store, &c->write);
}

static void forgotten(struct store_write *write) {
  struct change *c = (struct change *)((char *)write - offsetof(struct change, write));
  finish(c, write->ok ? STREAMS_DONE : STREAMS_FAILED, write->ok ? NULL : &write->err);
}

static void forget(struct change *c) {
  struct slice id = slice_of(c->id);
  c->changes[0] = (struct store_change){.table = STORE_STREAMS, .key = id};
  c->changes[1] = (struct store_change){.table = STORE_POSITIONS, .key = id};
  c->changes[2] = (struct store_change){.table = STORE_DEAD, .key = slice_make(c->id, id.len + 1), .prefix = true};
  c->changes[3] = script_versions_forget(&c->versions, c->id);
  c->changes[4] = (struct store_change){.table = STORE_WINDOWS, .key = slice_make(c->id, id.len + 1), .prefix = true};
  c->write = (struct store_write){.loop = c->all->options.loop, .changes = c->changes, .count = 5, .done = forgotten};
  store_submit(c->all->options.store, &c->write);
}

static void tell_taken_over(const struct definition *old, const struct definition *next) {
  if (strcmp(old->script_version, next->script_version) != 0)
    log_info("stream=%s doing=take-over%s version=%s was=%s", next->id, log_field("script", next->script_name),
             next->script_version[0] ? next->script_version : "none", old->script_version[0] ? old->script_version : "none");
  if (strcmp(old->sink->version, next->sink->version) != 0)
    log_info("stream=%s doing=take-over sink=%s version=%s was=%s", next->id, next->sink->name, next->sink->version, old->sink->version);
}

static void take_over(struct change *c) {
  struct definition *old = c->entry->definition;
  bool other = old->sink != c->next->sink || strcmp(old->script_version, c->next->script_version) != 0;
  tell_taken_over(old, c->next);
  if (other) status_set_version_error(c->entry->status, NULL);
  definition_ref(c->next);
  c->entry->definition = c->next;
  definition_unref(old);
}

static void obeyed(struct courier_command *command) {
  struct change *c = (struct change *)((char *)command - offsetof(struct change, command));
  if (c->kind == REMOVE) {
    forget(c);
  } else if (!command->ok) {
    undo(c);
  } else {
    if (c->kind != CREATE) take_over(c);
    finish(c, STREAMS_DONE, NULL);
  }
}

static void command(struct change *c, enum courier_order order) {
  c->command = (struct courier_command){.order = order, .definition = c->next ? c->next : c->entry->definition, .status = c->entry->status, .alarm = &c->entry->alarm,
                                        .resume = c->resume, .redrive = c->goes_back, .reply = c->all->options.loop, .done = obeyed};
  courier_command(streams_courier(c->all, c->command.definition), &c->command);
}

static void stored(struct store_write *write) {
  struct change *c = (struct change *)((char *)write - offsetof(struct change, write));
  if (!write->ok) {
    finish(c, STREAMS_FAILED, &write->err);
    return;
  }
  if (c->kind == CREATE) {
    definition_ref(c->next);
    c->entry = streams_insert(c->all, c->next);
    if (!c->entry) {
      definition_unref(c->next);
      err_set(&c->command.err, "out of memory");
      undo(c);
      return;
    }
    c->entry->changing = true;
  }
  command(c, c->kind == CREATE ? COURIER_ADD : COURIER_CHANGE);
}

static void store(struct change *c) {
  c->changes[0] = (struct store_change){.table = STORE_STREAMS, .key = slice_of(c->id), .value = c->next->document};
  size_t more = script_versions_change(&c->versions, c->all->options.store, c->entry ? c->entry->definition : NULL, c->next, c->changes + 1);
  c->write = (struct store_write){.loop = c->all->options.loop, .changes = c->changes, .count = 1 + more, .done = stored};
  store_submit(c->all->options.store, &c->write);
}

static void tried(struct script_trial *trial) {
  struct change *c = (struct change *)((char *)trial - offsetof(struct change, trial));
  if (trial->ok) store(c);
  else finish(c, trial->failed ? STREAMS_FAILED : STREAMS_REFUSED, &trial->err);
}

// On the records that came last, where it is to take the place of what works on them now.
static void try_out(struct change *c) {
  const struct streams_options *options = &c->all->options;
  if (!c->entry || c->untried || !script_trial_wanted(c->entry->definition, c->next)) {
    store(c);
    return;
  }
  c->trial = (struct script_trial){.loop = options->loop, .pool = options->pool, .journal = options->journal, .old = c->entry->definition,
                                   .next = c->next, .done = tried};
  script_trial_begin(&c->trial);
}

static void compiled(struct pool_check *check) {
  struct change *c = (struct change *)((char *)check - offsetof(struct change, check));
  if (check->ok) try_out(c);
  else finish(c, STREAMS_REFUSED, &check->err);
}

// The new definition is right as far as it can be told without running its script.
static void go_on(struct change *c, struct err *err) {
  if (!c->next) {
    finish(c, STREAMS_REFUSED, err);
    return;
  }
  memcpy(c->id, c->next->id, sizeof c->id);
  struct slice script = definition_script(c->next);
  bool same = c->entry && strcmp(c->entry->definition->script_version, c->next->script_version) == 0;
  if (!script.len || same) {
    try_out(c);
    return;
  }
  c->check = (struct pool_check){.loop = c->all->options.loop, .name = c->next->program->script_name, .source = script,
                                 .role = SCRIPT_STREAM, .done = compiled};
  pool_check(c->all->options.pool, &c->check);
}

void streams_create(struct streams *all, const json_t *body, streams_done done, void *arg) {
  struct change *c = begin(all, CREATE, NULL, done, arg);
  if (!c) return;
  struct err err = {0};
  if (all->count >= LIMIT_STREAMS) err_set(&err, "there are %d streams: no more are taken", LIMIT_STREAMS);
  else c->next = definition_create(&all->options.world, body, journal_head(all->options.journal), &err);
  go_on(c, &err);
}

void streams_change(struct streams *all, const struct stream_entry *entry, const json_t *body, streams_done done, void *arg) {
  struct change *c = begin(all, CHANGE, entry, done, arg);
  if (!c) return;
  struct err err = {0};
  c->next = definition_change(&all->options.world, entry->definition, body, &err);
  go_on(c, &err);
}

void streams_set_active(struct streams *all, const struct stream_entry *entry, bool active, streams_done done, void *arg) {
  struct change *c = begin(all, CHANGE, entry, done, arg);
  if (!c) return;
  struct err err = {0};
  c->resume = active;
  c->next = definition_set_active(&all->options.world, entry->definition, active, &err);
  go_on(c, &err);
}

void streams_renew(struct streams *all, const struct stream_entry *entry, const struct streams_renewal *renewal, streams_done done, void *arg) {
  struct change *c = begin(all, RENEW, entry, done, arg);
  if (!c) return;
  struct err err = {0};
  c->untried = renewal->untried;
  c->next = definition_renew(&all->options.world, entry->definition, renewal->source, &err);
  go_on(c, &err);
}

void streams_go_back(struct streams *all, struct stream_entry *entry, struct definition *next, const struct err *err,
                         streams_done done, void *arg) {
  struct change *c = begin(all, RENEW, entry, done, arg);
  if (!c) {
    definition_unref(next);
    return;
  }
  struct err why = *err;
  c->next = next;
  c->goes_back = c->untried = true;
  go_on(c, &why);
}

void streams_set_changed(struct streams *all, streams_changed changed, void *arg) {
  all->changed = changed;
  all->changed_arg = arg;
}

void streams_remove(struct streams *all, const struct stream_entry *entry, streams_done done, void *arg) {
  struct change *c = begin(all, REMOVE, entry, done, arg);
  if (c) command(c, COURIER_REMOVE);
}
