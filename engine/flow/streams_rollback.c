// streams_rollback.c - a version of a script that fails for record after record gives way to the one before it.
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/streams_parts.h"

#include <stdio.h>
#include <string.h>

static const int64_t TRUST_MS = 24 * 3600 * 1000; // a version that has run for longer did not break things by its coming

static struct stream_entry *entry_of(struct loop_task *task) {
  return (struct stream_entry *)((char *)task - offsetof(struct stream_entry, alarm.task));
}

static void heard(struct loop_task *task) {
  struct stream_entry *entry = entry_of(task);
  entry->alarmed = true;
  if (!entry->changing) streams_roll_back(entry);
}

void streams_listen(struct streams *all, struct stream_entry *entry) {
  entry->all = all;
  entry->alarm = (struct stream_alarm){.loop = all->options.loop, .task.run = heard};
}

void streams_tell_gone_back(const struct stream_entry *entry) {
  const struct definition *d = entry->definition;
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "script version %s failed for record after record: version %s runs again; mend the script to try anew",
           d->bad_version, d->script_version);
  status_set_version_error(entry->status, text);
}

static void gone_back(const struct streams_answer *answer, void *arg) {
  (void)arg;
  if (answer->outcome == STREAMS_DONE) {
    const struct definition *d = answer->entry->definition;
    log_warn("stream=%s doing=roll-back version=%s was=%s", d->id, d->script_version, d->bad_version);
    streams_tell_gone_back(answer->entry);
  } else {
    log_error("stream=%s doing=roll-back%s", answer->id, log_field("error", answer->err.text));
  }
}

// It stays paused where no version is known that worked, or where the present one has long done so.
static bool may_go_back(const struct stream_entry *entry) {
  const struct definition *d = entry->definition;
  return d->active && strcmp(entry->alarm.version, d->script_version) == 0 && d->good_version[0] &&
         clock_ms() - d->took_over_ms < TRUST_MS && atomic_load(&entry->status->state) == STREAM_PAUSED;
}

void streams_roll_back(struct stream_entry *entry) {
  struct streams *all = entry->all;
  const struct definition *d = entry->definition;
  struct err err = {0};
  size_t len;
  entry->alarmed = false;
  if (!may_go_back(entry)) return;
  char *source = script_versions_get(all->options.store, d->id, d->good_version, &len);
  struct definition *next = NULL;
  if (source) next = definition_go_back(&all->options.world, d, slice_make(source, len), &err);
  else err_set(&err, "the version %s is not kept", d->good_version);
  streams_go_back(all, entry, next, &err, gone_back, NULL);
  mem_free(source);
}
