// cmd_test.c - `sluice test`: specs and golden cases on the production script host; no engine needed.
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/test_child.h"
#include "cmd/test_files.h"
#include "cmd/test_report.h"
#include "script/config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(void) {
  puts("usage: sluice test [PATH ...] [--format pretty|tap|junit] [--only TEXT] [--update] [--coverage]\n\n"
       "Runs the specs (NAME_spec.lua) and golden cases (NAME.input.ndjson beside NAME.output.ndjson, for "
       "NAME.lua) of the paths:\n"
       "files, scripts or folders; without any, of the configuration's folders for scripts and sinks.\n"
       "  --format    pretty (default), tap (TAP 13) or junit (XML)\n"
       "  --only      only cases that have TEXT in their name\n"
       "  --update    write what golden cases give to their NAME.output.ndjson\n"
       "  --coverage  tell how much of each script ran, and which lines never did\n"
       "Exit 0: all passed. 1: a case failed. 2: wrong usage, a file that can't be read, or nothing to run.");
  return 0;
}

// The configuration's folders, those that are there.
static bool add_configured(struct test_files *files) {
  struct config config;
  struct err err = {{0}};
  config_defaults(&config);
  if (access("sluice.lua", F_OK) == 0 && !config_load(&config, "sluice.lua", &err)) {
    fprintf(stderr, "%s\n", err.text);
    return false;
  }
  return (access(config.scripts, F_OK) != 0 || test_files_add(files, config.scripts)) &&
         (access(config.sinks, F_OK) != 0 || test_files_add(files, config.sinks));
}

static bool add_paths(struct test_files *files, char **paths, int count) {
  bool ok = count > 0 || add_configured(files);
  for (int i = 0; i < count; i++)
    ok &= test_files_add(files, paths[i]);
  return ok;
}

static void tell_coverage(const struct test_report *report, const struct test_results *results) {
  switch (report->format) {
  case TEST_PRETTY:
    test_report_coverage(results, "", report->out);
    break;
  case TEST_TAP:
    test_report_coverage(results, "# coverage ", report->out);
    break;
  case TEST_JUNIT:
    test_report_coverage(results, "", stderr);
    break; // the format has no place for it
  }
}

static int run(const struct test_files *files, const struct test_child_options *options,
               struct test_report *report) {
  struct test_results results = {0};
  test_report_begin(report);
  for (size_t i = 0; i < files->count; i++) {
    struct test_file *file = test_results_file(&results, files->paths[i]);
    test_child_run(files->paths[i], options, &results, file);
    test_report_file(report, file);
  }
  test_report_end(report, &results);
  if (options->coverage) tell_coverage(report, &results);
  bool none = results.passed + results.failed == 0;
  if (none && options->only)
    fprintf(stderr, "no case has '%s' in its name\n", options->only);
  else if (none)
    fputs("there is no case in these files\n", stderr);
  int code = none ? 2 : results.failed ? 1 : 0;
  test_results_fini(&results);
  return code;
}

int cmd_test(int argc, char **argv) {
  struct test_child_options options = {0};
  struct test_report report = {.out = stdout, .colour = isatty(STDOUT_FILENO)};
  struct test_files files = {0};
  static const struct option known[] = {
      {"format", required_argument, NULL, 'f'}, {"only", required_argument, NULL, 'o'},
      {"update", no_argument, NULL, 'u'},       {"coverage", no_argument, NULL, 'c'},
      {"help", no_argument, NULL, 'h'},         {0}};
  for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
    if (option == 'h') return usage();
    if (option == 'o')
      options.only = optarg;
    else if (option == 'u')
      options.update = true;
    else if (option == 'c')
      options.coverage = true;
    else if (option != 'f' || !test_format_of(optarg, &report.format))
      return args_wrong("test");
  }
  bool ok = add_paths(&files, argv + optind, argc - optind);
  if (ok && !files.count)
    fputs("there are no specs (NAME_spec.lua) and no golden cases (NAME.input.ndjson) there\n", stderr);
  int code = ok && files.count ? run(&files, &options, &report) : 2;
  test_files_fini(&files);
  return fflush(stdout) == 0 ? code : 2;
}
