#include "script/worker_check.h"
#include "script/confine.h"
#include "script/shared_file.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t MAGIC = 0x316b636568436573; // changes with the layout

static struct check_sheet *map(int fd, struct err *err) {
  void *at = mmap(NULL, sizeof(struct check_sheet), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) return at;
  err_set_errno(err, "shared memory for a check");
  return NULL;
}

struct check_sheet *check_sheet_new(int *fd, struct err *err) {
  *fd = shared_file("sluice-check", sizeof(struct check_sheet), err);
  if (*fd < 0) return NULL;
  struct check_sheet *sheet = map(*fd, err);
  if (sheet) *sheet = (struct check_sheet){.magic = MAGIC, .engine = getpid()};
  return sheet;
}

void check_sheet_free(struct check_sheet *sheet, int fd) {
  if (sheet) munmap(sheet, sizeof *sheet);
  if (fd >= 0) close(fd);
}

static void answer(struct check_sheet *sheet) {
  struct slice source = slice_make(sheet->source, sheet->source_bytes);
  struct script *script =
      script_load(sheet->name, source, (enum script_role)sheet->role, &sheet->limits, &sheet->err);
  if (script) sheet->facts = *script_facts(script);
  atomic_store(&sheet->answered, script ? CHECK_ACCEPTED : CHECK_REFUSED);
}

int worker_check_main(int fd, unsigned first_closed) {
  struct err err = {0};
  struct stat status;
  struct check_sheet *sheet = NULL;
  if (fstat(fd, &status) == 0 && status.st_size == sizeof *sheet) sheet = map(fd, &err);
  if (!sheet || sheet->magic != MAGIC) {
    fprintf(stderr, "sluice worker: started by the engine only\n");
    return 2;
  }
  if (confine(&(struct confine){sheet->engine, sheet->user, first_closed}, &err)) {
    answer(sheet);
  } else {
    sheet->err = err;
    atomic_store(&sheet->answered, CHECK_REFUSED);
  }
  _exit(0); // without the clean-up, which a script may have broken
}
