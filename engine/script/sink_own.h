// sink_own.h - a sink as script/ itself knows it: the public data, the memory behind it, and who still holds
// it.
#pragma once
#include "script/sink.h"
#include <stdatomic.h>

struct sink_own {
  struct sink sink; // first: the public face
  atomic_uint refs;
  struct sink_memory *memory; // all texts and arrays of `sink`, freed with it
  enum sink_framing framing;
  bool framing_by_settings; // framing is a function of the file's
  unsigned standard;        // groups of settings that the engine applies (sink_standard.h)
};

static inline struct sink_own *sink_own_of(struct sink *sink) {
  return (struct sink_own *)sink;
}

// Zeroed bytes that live as long as the sink, or NULL.
void *sink_own_room(struct sink_own *own, size_t bytes);
// A NUL-terminated copy that lives as long as the sink, or NULL.
const char *sink_own_text(struct sink_own *own, const char *at, size_t len);
