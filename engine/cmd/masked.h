// masked.h - what was made of secrets, printed without them: it is made twice, with the secrets and with
// others, and what differs is shown as stars.
#pragma once
#include "base/slice.h"
#include "script/sink.h"
#include <stdio.h>

// The settings with other secrets of the same form (new); NULL: they hold no secret.
json_t *masked_settings(const struct sink *sink, const json_t *settings);
// The text without the words that differ from `other`, the same text made with the other secrets.
void masked_print(struct slice text, struct slice other, FILE *out);
