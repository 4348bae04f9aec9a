// cmd_run.c - `sluice run`: the engine in the foreground; SIGTERM and SIGINT drain and stop it.
#include "base/log.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/engine.h"
#include "net/loop.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { DRAIN_MS = 10000 };

static struct engine *running;

static int usage(void) {
  puts("usage: sluice run [-c sluice.lua]\n\n"
       "Runs the engine in the foreground. Without -c, ./sluice.lua is read if it is there.\n"
       "SIGTERM drains for 10 s at most and stops; a second one stops at once. Files of scripts and sinks that change are\n"
       "taken over while it runs; SIGHUP looks at all of them again.");
  return 0;
}

static void signalled(struct loop_watch *watch, int fd) {
  (void)watch;
  struct signalfd_siginfo info;
  if (read(fd, &info, sizeof info) != sizeof info) return;
  if (info.ssi_signo == SIGHUP) {
    log_info("engine doing=reload signal=%u", info.ssi_signo);
    engine_reload(running);
    return;
  }
  log_info("engine doing=stop signal=%u reason=\"draining, at most %d s; a second signal ends it at once\"",
           info.ssi_signo, DRAIN_MS / 1000);
  engine_interrupt(running, DRAIN_MS);
}

// The second signal while the main thread waits for deliveries: what is not saved is delivered again, as
// after a crash.
static void leave_at_once(int signal_number) {
  static const char words[] = "sluice: the drain was cut short by a second signal\n";
  (void)signal_number;
  ssize_t written = write(STDERR_FILENO, words, sizeof words - 1);
  _exit(written < 0);
}

static void hear_second_signal(void) {
  struct sigaction action = {.sa_handler = leave_at_once};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL); // on this thread alone
}

// Signals come as reads, on the loop's thread; blocked before the threads begin, so that they inherit it.
static int watch_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void raise_file_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// Without sinks/ in the working folder, those that came with the program are used.
static void find_sinks(struct config *config) {
  char path[512];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
  if (access(config->sinks, F_OK) == 0 || strcmp(config->sinks, "sinks") != 0 || len <= 0) return;
  path[len] = 0;
  static const char *const places[] = {"/../sinks", "/../share/sluice/sinks"};
  for (size_t i = 0; i < 2; i++) {
    snprintf(config->sinks, sizeof config->sinks, "%.*s%s", (int)(strrchr(path, '/') - path), path, places[i]);
    if (access(config->sinks, F_OK) == 0) return;
  }
  snprintf(config->sinks, sizeof config->sinks, "sinks");
}

static bool read_config(struct config *config, const char *file, struct err *err) {
  config_defaults(config);
  if (!file && access("sluice.lua", F_OK) == 0) file = "sluice.lua";
  if (file && !config_load(config, file, err)) return false;
  find_sinks(config);
  return true;
}

int cmd_run(int argc, char **argv) {
  const char *file = NULL;
  struct config config;
  struct err err = {0};
  static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
  for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
    if (option == 'h') return usage();
    if (option != 'c') return args_wrong("run");
    file = optarg;
  }
  if (optind < argc) return args_unexpected("run", argv[optind]);
  if (!read_config(&config, file, &err)) {
    fprintf(stderr, "%s\n", err.text);
    return 2;
  }
  raise_file_limit();
  int signals = watch_signals();
  running = engine_start(&config, &err);
  if (!running) {
    fprintf(stderr, "sluice: %s\n", err.text);
    return 1;
  }
  struct loop_watch watch = {.run = signalled};
  loop_watch_start(engine_loop(running), &watch, signals);
  char host[128];
  snprintf(host, sizeof host, "%s", config.listen);
  char *colon = strrchr(host, ':');
  if (colon) *colon = 0;
  log_info("engine doing=run version=%s data=%s listening on http://%s:%d", SLUICE_VERSION, config.data, host, engine_port(running));
  engine_run(running);
  loop_watch_fini(&watch);
  hear_second_signal();
  engine_stop(running);
  close(signals);
  return 0;
}
