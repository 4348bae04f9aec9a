// pool_trial.h - a program tried on a few records in a throw-away worker: what it would make of them, and
// nothing kept.
//
// The production sandbox and limits. Windows begin empty and are thrown away. LIMIT_TRIALS at a time, others
// queue. A program that crashes or hangs its worker is told with the record it was at; the records behind are
// not tried.
#pragma once
#include "script/pool.h"

struct pool_trial_record {
  struct record_header header; // offset and length are not looked at
  struct slice bytes;
};

struct pool_trial_result { // of one record; texts are clean
  enum script_outcome outcome;
  bool tried;                        // false: SCRIPT_FAILED, because of an earlier record; text says so
  uint32_t line;                     // of a failure; 0: unknown
  char text[400];                    // reason or message
  const struct pool_output *outputs; // the script's: bodies are JSON; without a script, the record itself
  uint32_t output_count;
  const struct pool_output *mapped; // made of them by the sink's map; none: it has no map
  uint32_t mapped_count;
  uint32_t alert_count;
  struct script_alert alerts[SCRIPT_ALERTS];
  bool alert_failed;
  uint32_t alert_line;
  char alert_text[400];
  uint32_t log_bytes;
  char log[LIMIT_SCRIPT_LOG_BYTES]; // lines, without a break behind the last
};

enum pool_trial_end {
  POOL_TRIAL_DONE,    // each record has its result; one that crashed or hung the worker failed
  POOL_TRIAL_REFUSED, // the program is wrong: err says "name:line: what is wrong"
  POOL_TRIAL_FAILED,  // it could not be tried: err says why
};

struct pool_trial { // the caller's; the first part is filled by it and kept until `done`
  struct loop *loop;
  const struct program *program; // as of program_new
  const struct pool_trial_record *records;
  uint32_t count; // 0 (it is only loaded) to LIMIT_TRIAL_RECORDS, of LIMIT_TRIAL_BYTES together
  void (*done)(struct pool_trial *trial); // on the loop; when the pool is freed first, it does not run

  enum pool_trial_end end;
  struct err err;
  struct pool_trial_result *results; // `count` of them when POOL_TRIAL_DONE
  bool broke; // record number `at` crashed or hung the worker, or made it send nonsense
  uint32_t at;
  void *memory;            // behind the results
  struct loop_task task;   // the pool's
  struct pool_trial *next; // the pool's
};
void pool_trial(struct pool *pool, struct pool_trial *trial); // any thread
void pool_trial_fini(struct pool_trial *trial);               // frees the results; takes zeroed
