// masked.h - what was made of secrets, shown without them: it is made twice, with the secrets and with
// others, and what differs is shown as stars.
#pragma once
#include "base/buf.h"
#include "script/sink.h"

// *others: the settings with other secrets of the same form (new); NULL: they hold no secret. False: out of
// memory.
bool masked_settings(const struct sink *sink, const json_t *settings, json_t **others);
// Appends the text without the words that differ from `other`, the same text made with the other secrets.
// False: no room, or out of memory.
bool masked_write(struct slice text, struct slice other, struct buf *out);
