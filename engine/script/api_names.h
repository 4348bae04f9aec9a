// api_names.h - what scripts can name: the globals of the sandbox and what is in them, read from the sandbox
// itself.
#pragma once
#include "script/script.h"

struct api_names;
struct api_names *api_names_new(enum script_role role, struct err *err); // NULL: out of memory
void api_names_free(struct api_names *names);                            // takes NULL

// Whether there is such a global, or with a library ("time") such a member of it.
bool api_names_has(const struct api_names *names, struct slice library, struct slice name);
// Whether the name is a library, so that its members are known.
bool api_names_is_library(const struct api_names *names, struct slice name);
// The nearest of the globals, or of the library's members; NULL: none.
const char *api_names_suggest(const struct api_names *names, struct slice library, struct slice name);
