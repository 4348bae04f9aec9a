// alerts.h - what alert hooks raised, on its way into the journal.
//
// A record is settled only when its alerts are durable, as with a dead letter: after a crash it is run again and raises them again,
// under the same ids (alert_record.h), so the journal keeps each once. While the journal takes nothing they wait and are handed in
// again; a stream with LIMIT_ALERTS under way reads nothing, and their bytes count as those of batches do.
//
// An alert's organisation in the journal is its stream's: no organisation's stream ever reads the alerts of an operator's (JOURNAL_ALL).
#pragma once
#include "base/err.h"
#include "script/pool.h"
#include <stdbool.h>
#include <stdint.h>

struct alerts; // a courier's
struct courier;
struct stream;
struct harvest_item;

struct alerts *alerts_new(struct courier *courier, struct err *err);
void alerts_free(struct alerts *alerts); // once the journal is closed, or never had any; takes NULL
bool alerts_idle(const struct alerts *alerts); // none is in the journal's hands, or being read for

// What the hook did to this record: raised alerts, or failed, which is counted and logged. False: out of memory; the record has to
// be run again.
bool alerts_take(struct stream *s, const struct harvest_item *item, const struct pool_result *result);
// Whether the record waits for its alerts: it is settled once they are durable, then.
bool alerts_hold(struct stream *s, uint64_t ordinal);
// Of what is marked as to be read again, the records that wait for nothing but their alerts are not.
void alerts_keep_settled(struct stream *s);

uint64_t alerts_stored(void); // by all couriers since the start; any thread
