// json_shape.h - the shapes of the texts a tape has parsed, so that the next text of one of them is compared,
// not parsed. Private to base/.
//
// A stream of records repeats a few sequences of keys and brackets. What stands between two scalar values of
// a parsed text is kept as a step: its bytes, and the entries that follow from them. A new text is held
// against the steps byte for byte, and only its scalars are looked at. Nothing is assumed: a text is taken if
// every byte of it has been compared or checked, and its entries are those that the parser would have made.
// Whatever else it is, the parser decides.
//
// The shapes are a tree, as texts that begin alike share their first steps. It has fixed room, and texts that
// don't repeat put it to rest for a while, so that they cost little.
#pragma once
#include "base/json_tape.h"

enum { JSON_SHAPE_REST = 8 }; // parses before a new tape starts to learn: many a tape sees one text only

// The value at p, if it has a known shape: returns its end, with the tape's entries, count and shape set.
// NULL: it has none, and the entries are overwritten.
const char *json_shape_parse(struct json_tape *t, const char *p, const char *end);
// Learns the shape of what the tape holds now, and has been found to have none.
void json_shape_learn(struct json_tape *t);
