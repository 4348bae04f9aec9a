// cmd.h - the commands of the program: `sluice COMMAND ...` calls cmd_COMMAND with argv[0] the command's name.
//
// Each returns the exit code: 0 done, 1 the thing asked about failed, 2 wrong usage or configuration. Each answers -h itself.
#pragma once

int cmd_run(int argc, char **argv);     // the engine, in the foreground
int cmd_check(int argc, char **argv);   // compiles and checks configuration, scripts and sinks
int cmd_test(int argc, char **argv);    // specs and golden cases on the production script host
int cmd_pipe(int argc, char **argv);    // records on stdin through a script to stdout
int cmd_send(int argc, char **argv);    // posts records to an engine
int cmd_receive(int argc, char **argv); // a receiver for development
int cmd_streams(int argc, char **argv); // streams over the API
int cmd_scripts(int argc, char **argv); // shared scripts, and a script tried, over the API
int cmd_sinks(int argc, char **argv);   // sinks over the API
int cmd_dead(int argc, char **argv);    // dead letters over the API
int cmd_top(int argc, char **argv);     // a live table of the streams
int cmd_version(int argc, char **argv);
