// trim.h - gives memory that is free inside the heap back to the system, from a thread of its own.
//
// What a burst took the heap keeps, in holes between what lives on: with thousands of streams more than they need at rest. Looked at
// every few seconds and only when there is much of it, because pages that are given back cost a fault when they are used again.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct trim;

struct trim *trim_start(struct err *err); // NULL with err: no thread
void trim_stop(struct trim *trim);        // at once; takes NULL
// Gives back what is free if it is more than this many bytes. True: it did.
bool trim_now(size_t more_than);
