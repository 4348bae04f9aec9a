// script_versions.h - the sources of a stream's scripts in the store: the one that runs where it is that of a file, and the one to go
// back to. A stream whose file is broken or gone starts with the version it had.
#pragma once
#include "flow/definition.h"
#include "journal/store.h"

enum { SCRIPT_VERSIONS_CHANGES = 8, SCRIPT_VERSIONS_KEY_BYTES = DEFINITION_ID_BYTES + DEFINITION_VERSION_BYTES };

struct script_versions { // keys for one write
  char keys[SCRIPT_VERSIONS_CHANGES][SCRIPT_VERSIONS_KEY_BYTES];
  size_t count;
};

// Puts into `changes` (room for SCRIPT_VERSIONS_CHANGES) what goes with the definition `next` when it takes the place of `old` (NULL: of
// none); returns how many. Sources that neither needs go. Borrows from both definitions and from *keys.
size_t script_versions_change(struct script_versions *keys, struct store *store, const struct definition *old,
                              const struct definition *next, struct store_change *changes);
struct store_change script_versions_forget(struct script_versions *keys, const char *id); // all of a stream
// A copy for mem_free; NULL: it is not kept.
char *script_versions_get(struct store *store, const char *id, const char *version, size_t *len);
