// newest.h - the newest records of an organisation, gathered from the journal backwards in bounded steps.
#pragma once
#include "base/limits.h"
#include "journal/journal.h"

struct newest { // the caller's; the first part is filled by it and kept until `done`
  struct loop *loop;
  struct journal *journal;
  int64_t organisation;                // or JOURNAL_ALL
  unsigned kinds;                      // mask
  uint32_t wanted;                     // 1 to LIMIT_TRIAL_RECORDS
  void (*done)(struct newest *newest); // on the loop; not before newest_begin has returned

  bool ok;        // false: memory was short, or the journal could not be read
  uint32_t count; // less than wanted when there are no more, or they are too long or too far apart
  struct newest_record {
    struct record_header header;
    struct slice bytes;
  } records[LIMIT_TRIAL_RECORDS]; // oldest first; together at most LIMIT_TRIAL_BYTES
  // its own:
  struct newest_record found[LIMIT_TRIAL_RECORDS]; // in this stretch, oldest first
  uint32_t found_count;
  size_t bytes; // of all records
  bool full;    // of bytes: older ones are not looked for
  struct journal_fetch fetch;
  uint64_t from, end;       // the stretch that is read; what is at or behind `end` is done with
  uint32_t blocks, fetches; // read of this stretch; asked for in all
};

void newest_begin(struct newest *newest);
void newest_fini(struct newest *newest); // after `done`; takes zeroed
