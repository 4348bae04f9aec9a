// worker_trial.h - a throw-away worker: runs one program over a few records and notes what became of each. It
// may well crash in doing so.
#pragma once
#include "base/limits.h"
#include "script/script.h"
#include <stdatomic.h>
#include <sys/types.h>

struct trial_text { // in the sheet's `input`
  uint32_t at, len;
};

struct trial_note { // what became of one record; its outputs lie in the sheet's `output`
  uint32_t outcome; // enum script_outcome
  uint32_t line;
  char text[400];
  uint64_t at;                         // of its struct script_output, a multiple of eight; their bytes follow
  uint32_t output_count, mapped_count; // the script's, and behind them what the sink's map made of those
  uint32_t byte_count;
  uint32_t alert_count;
  struct script_alert alerts[SCRIPT_ALERTS];
  uint32_t alert_failed, alert_line;
  char alert_text[400];
  uint32_t log_bytes;
  char log[LIMIT_SCRIPT_LOG_BYTES]; // lines, without a break behind the last
};

enum { TRIAL_INPUT_BYTES = LIMIT_TRIAL_BYTES + LIMIT_PROGRAM_BYTES + 1024 };

struct trial_sheet { // shared memory; the engine fills the upper part, the worker the lower one, which may be
                     // hostile
  uint64_t magic;
  pid_t engine;
  uid_t user; // it becomes; 0: it stays who it is
  struct script_limits limits;
  struct trial_text script_name, script, context; // script.len 0: none
  struct trial_text sink_name, sink, sink_context;
  uint32_t count;
  struct record_header records[LIMIT_TRIAL_RECORDS]; // their offsets count from `input`
  char input[TRIAL_INPUT_BYTES];

  _Atomic uint32_t loaded; // TRIAL_ACCEPTED or TRIAL_REFUSED
  struct err err;          // of TRIAL_REFUSED
  _Atomic uint32_t done;   // records whose notes stand; while one is worked on, its index
  struct trial_note notes[LIMIT_TRIAL_RECORDS];
  char output[LIMIT_TRIAL_RESULT_BYTES];
};
enum { TRIAL_ACCEPTED = 1, TRIAL_REFUSED };

// A new one, by shared_file, or NULL with err. Its pages exist once they are touched.
struct trial_sheet *trial_sheet_new(int *fd, struct err *err);
void trial_sheet_free(struct trial_sheet *sheet, int fd); // takes NULL and -1

int worker_trial_main(int fd, unsigned first_closed);
