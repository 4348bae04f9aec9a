// suggest.h - "did you mean": the nearest of the known words.
#pragma once
#include <stddef.h>

// The word at most two edits (and a third of its length) away, or NULL. `words` ends with NULL.
const char *suggest(const char *word, const char *const *words);
