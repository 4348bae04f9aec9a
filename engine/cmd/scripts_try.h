// scripts_try.h - `sluice scripts try`: a script on an engine's newest records, or on those of a file, with
// nothing sent.
#pragma once

int cmd_scripts_try(int argc, char **argv); // argv[0] is "try"; the exit code
