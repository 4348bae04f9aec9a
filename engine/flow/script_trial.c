#include "flow/script_trial.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/newest.h"
#include "script/pool_trial.h"

#include <inttypes.h>
#include <string.h>

struct script_trial_state {
  struct script_trial *trial;
  struct newest newest;
  struct pool_trial run; // of the new program; then, where that fails throughout, of the old one
  struct pool_trial_record records[LIMIT_TRIAL_RECORDS];
};

bool script_trial_wanted(const struct definition *old, const struct definition *next) {
  const struct program *a = old->program, *b = next->program;
  if (!a || !b) return b != NULL;
  return a->script_id != b->script_id || a->sink_id != b->sink_id || !slice_equal(a->context, b->context) ||
         !slice_equal(a->sink_context, b->sink_context);
}

static void finish(struct script_trial_state *s, bool ok) {
  struct script_trial *trial = s->trial;
  trial->ok = ok;
  pool_trial_fini(&s->run);
  newest_fini(&s->newest);
  mem_free(s);
  trial->done(trial);
}

static bool failed_for_all(const struct pool_trial *run) {
  for (uint32_t i = 0; i < run->count; i++)
    if (run->results[i].outcome == SCRIPT_KEPT || run->results[i].outcome == SCRIPT_FILTERED) return false;
  return true;
}

// The first failure, in words.
static void say_failure(struct script_trial_state *s, uint32_t i) {
  const struct pool_trial_result *r = &s->run.results[i];
  int64_t id = s->records[i].header.id;
  struct err *err = &s->trial->err;
  if (s->run.broke && r->line) err_set(err, "tried on record %" PRId64 " of the last %u: line %u: %s", id, s->run.count, r->line, r->text);
  else if (s->run.broke) err_set(err, "tried on record %" PRId64 " of the last %u: %s", id, s->run.count, r->text);
  else if (r->line) err_set(err, "tried on the last %u records, it fails for each; record %" PRId64 ": line %u: %s", s->run.count, id, r->line, r->text);
  else err_set(err, "tried on the last %u records, it fails for each; record %" PRId64 ": %s", s->run.count, id, r->text);
}

static void run(struct script_trial_state *s, const struct program *program, void (*done)(struct pool_trial *run)) {
  s->run = (struct pool_trial){.loop = s->trial->loop, .program = program, .records = s->records, .count = s->newest.count, .done = done};
  pool_trial(s->trial->pool, &s->run);
}

static struct script_trial_state *state_of(struct pool_trial *run) {
  return (struct script_trial_state *)((char *)run - offsetof(struct script_trial_state, run));
}

// What fails under the old one as well is the records' fault, or was there before.
static void old_tried(struct pool_trial *run) {
  struct script_trial_state *s = state_of(run);
  bool as_bad = run->end == POOL_TRIAL_DONE && (run->broke || failed_for_all(run));
  if (as_bad) s->trial->err = (struct err){0};
  finish(s, as_bad);
}

static void new_tried(struct pool_trial *ended) {
  struct script_trial_state *s = state_of(ended);
  struct script_trial *trial = s->trial;
  trial->failed = ended->end == POOL_TRIAL_FAILED;
  if (ended->end != POOL_TRIAL_DONE) {
    err_set(&trial->err, "%s", ended->err.text);
    finish(s, false);
  } else if (ended->broke) {
    say_failure(s, ended->at < ended->count ? ended->at : 0);
    finish(s, false);
  } else if (!failed_for_all(ended)) {
    finish(s, true);
  } else {
    say_failure(s, 0);
    pool_trial_fini(ended);
    if (trial->old->program) run(s, trial->old->program, old_tried);
    else finish(s, false);
  }
}

static void found(struct newest *newest) {
  struct script_trial_state *s = (struct script_trial_state *)((char *)newest - offsetof(struct script_trial_state, newest));
  if (!newest->ok) log_warn("stream=%s doing=try error=\"its last records can't be read: it is not tried\"", s->trial->next->id);
  if (!newest->ok || !newest->count) {
    finish(s, true);
    return;
  }
  for (uint32_t i = 0; i < newest->count; i++)
    s->records[i] = (struct pool_trial_record){.header = newest->records[i].header, .bytes = newest->records[i].bytes};
  run(s, s->trial->next->program, new_tried);
}

void script_trial_begin(struct script_trial *trial) {
  struct script_trial_state *s = mem_zero(1, sizeof *s);
  trial->ok = trial->failed = false;
  trial->err = (struct err){0};
  if (!s) {
    trial->failed = true;
    err_set(&trial->err, "out of memory");
    trial->done(trial);
    return;
  }
  s->trial = trial;
  s->newest = (struct newest){.loop = trial->loop, .journal = trial->journal, .organisation = trial->next->organisation,
                              .kinds = trial->next->kinds, .wanted = LIMIT_TRIAL_RECORDS, .done = found};
  newest_begin(&s->newest);
}
