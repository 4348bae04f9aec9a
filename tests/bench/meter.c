// meter.c - reads /proc: parents from stat, CPU from stat, memory from smaps_rollup (Pss, so what is shared
// counts once).
#include "meter.h"
#include "base/mem.h"
#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FAMILY = 1024, SAMPLE_MS = 150 };

struct process {
  pid_t pid, parent;
  uint64_t ticks; // user and system, its own and those of children it has waited for
};

struct family { // the process and all below it
  struct process all[FAMILY];
  size_t count;
};

struct meter {
  pid_t pid;
  pthread_t thread;
  atomic_bool ending;
  atomic_uint_least64_t peak_bytes;
};

static bool process_read(pid_t pid, struct process *out) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file) return false;
  size_t len = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[len] = '\0';
  const char *name_end = strrchr(text, ')'); // the name may hold blanks and brackets
  unsigned long user, system;
  long child_user, child_system;
  int parent;
  if (!name_end || sscanf(name_end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
                          &parent, &user, &system, &child_user, &child_system) != 5)
    return false;
  *out = (struct process){pid, parent, user + system + (uint64_t)child_user + (uint64_t)child_system};
  return true;
}

static bool family_has(const struct family *f, pid_t pid) {
  for (size_t i = 0; i < f->count; i++)
    if (f->all[i].pid == pid) return true;
  return false;
}

// Children have higher numbers than their parents but when numbers wrap; a second pass finds those.
static void family_read(pid_t root, struct family *f) {
  struct process process;
  f->count = 0;
  if (process_read(root, &process)) f->all[f->count++] = process;
  for (int pass = 0; pass < 2; pass++) {
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) && f->count < FAMILY) {
      if (!isdigit((unsigned char)entry->d_name[0])) continue;
      pid_t pid = (pid_t)atoi(entry->d_name);
      if (!family_has(f, pid) && process_read(pid, &process) && family_has(f, process.parent))
        f->all[f->count++] = process;
    }
    if (folder) closedir(folder);
  }
}

static uint64_t process_bytes(pid_t pid) {
  char path[64], line[256];
  unsigned long kilobytes, sum = 0;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "Pss_Anon: %lu", &kilobytes) == 1 || sscanf(line, "Pss_Shmem: %lu", &kilobytes) == 1)
      sum += kilobytes;
  }
  fclose(file);
  return (uint64_t)sum * 1024;
}

static void sample(struct meter *meter) {
  struct family family;
  uint64_t bytes = 0;
  family_read(meter->pid, &family);
  for (size_t i = 0; i < family.count; i++)
    bytes += process_bytes(family.all[i].pid);
  if (bytes > atomic_load(&meter->peak_bytes)) atomic_store(&meter->peak_bytes, bytes);
}

static void *sampling(void *arg) {
  struct meter *meter = arg;
  struct timespec pause = {0, SAMPLE_MS * 1000000L};
  while (!atomic_load(&meter->ending)) {
    sample(meter);
    nanosleep(&pause, NULL);
  }
  return NULL;
}

struct meter *meter_start(pid_t pid) {
  struct meter *meter = mem_zero(1, sizeof *meter);
  if (!meter) return NULL;
  meter->pid = pid;
  if (pthread_create(&meter->thread, NULL, sampling, meter) == 0) return meter;
  mem_free(meter);
  return NULL;
}

void meter_stop(struct meter *meter) {
  if (!meter) return;
  atomic_store(&meter->ending, true);
  pthread_join(meter->thread, NULL);
  mem_free(meter);
}

uint64_t meter_cpu_us(const struct meter *meter) {
  struct family family;
  uint64_t ticks = 0;
  family_read(meter->pid, &family);
  for (size_t i = 0; i < family.count; i++)
    ticks += family.all[i].ticks;
  return ticks * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

uint64_t meter_peak_bytes(const struct meter *meter) {
  return atomic_load(&meter->peak_bytes);
}
