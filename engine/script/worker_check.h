// worker_check.h - a throw-away worker: compiles one script and says what it is. It may well crash in doing
// so.
#pragma once
#include "base/limits.h"
#include "script/script.h"
#include <stdatomic.h>
#include <sys/types.h>

struct check_sheet { // shared memory; the engine fills the upper part, the worker the lower one, which may be
                     // hostile
  uint64_t magic;
  pid_t engine;
  uid_t user; // it becomes; 0: it stays who it is
  struct script_limits limits;
  uint32_t role; // enum script_role
  uint32_t source_bytes;
  char name[256];
  char source[LIMIT_SCRIPT_SOURCE_BYTES];

  _Atomic uint32_t answered; // CHECK_ACCEPTED or CHECK_REFUSED
  struct script_facts facts;
  struct err err;
};
enum { CHECK_ACCEPTED = 1, CHECK_REFUSED };

// A new one, by shared_file, or NULL with err.
struct check_sheet *check_sheet_new(int *fd, struct err *err);
void check_sheet_free(struct check_sheet *sheet, int fd); // takes NULL and -1

int worker_check_main(int fd, unsigned first_closed);
