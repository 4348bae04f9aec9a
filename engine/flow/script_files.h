// script_files.h - the shared scripts: NAME.lua in one folder, read, written, removed and listed.
//
// All of it may wait for the disk: not for a thread that must not.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_NAME_BYTES = 65, SCRIPT_VERSION_BYTES = 20 };

// 1 to 64 of a-z, 0-9, '_' and '-'; one that ends in _spec is the spec of another. False with err.
bool script_files_check_name(const char *name, struct err *err);
// The same for the same source, into out[SCRIPT_VERSION_BYTES].
void script_files_version(struct slice source, char *out);

bool script_files_has(const char *folder, const char *name);
// NUL-terminated, for mem_free; NULL with err when there is none, or it is too long.
char *script_files_read(const char *folder, const char *name, size_t *len, struct err *err);
// As a whole or not at all, durably. A new one only below LIMIT_SHARED_SCRIPTS. The folder is made when it is
// not there.
bool script_files_write(const char *folder, const char *name, struct slice source, struct err *err);
bool script_files_remove(const char *folder, const char *name, struct err *err);

// Names in order, those behind `after` ("": from the first), at most `most`, at the beginning of names, which
// has room for twice as many. *more: there are others behind. Files that are no shared scripts are left out.
// -1 with err; a folder that is not there has none.
long script_files_list(const char *folder, const char *after, size_t most, char (*names)[SCRIPT_NAME_BYTES],
                       bool *more, struct err *err);
