#include "base/suggest.h"

#include <stdbool.h>
#include <string.h>

enum { WORD_BYTES = 64, EDITS = 2 }; // longer words are not looked at

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

// Insertions, deletions, changes and swaps of neighbours that make one word the other (optimal string
// alignment).
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len) {
  size_t rows[3][WORD_BYTES + 1];
  size_t *before = rows[0], *last = rows[1], *row = rows[2];
  for (size_t j = 0; j <= b_len; j++)
    last[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = least(row[j], before[j - 2] + 1);
    }
    size_t *oldest = before;
    before = last;
    last = row;
    row = oldest;
  }
  return last[b_len];
}

const char *suggest(const char *word, const char *const *words) {
  size_t len = strlen(word), best = EDITS + 1;
  const char *found = NULL;
  if (len > WORD_BYTES) return NULL;
  for (; *words; words++) {
    size_t known = strlen(*words);
    if (known > WORD_BYTES) continue;
    size_t edits = distance(word, len, *words, known);
    if (edits >= best || edits * 3 > known) continue;
    best = edits;
    found = *words;
  }
  return found;
}
