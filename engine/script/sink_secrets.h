// sink_secrets.h - keeps a stream's secrets out of messages that a sink's Lua made.
#pragma once
#include "script/sink.h"

// Replaces each secret of these settings (JSON) in the text by asterisks.
void sink_secrets_hide(const struct sink *sink, struct slice settings, char *text);
