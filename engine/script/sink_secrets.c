// sink_secrets.c - on the way of errors alone, so it may read the settings anew.
#include "script/sink_secrets.h"

enum { SHORTEST = 4, STARS = 8 }; // shorter ones would eat half of any message

static void hide_text(const char *secret, char *text) {
  size_t len = strlen(secret), stars = len < STARS ? len : STARS;
  if (len < SHORTEST) return;
  for (char *at = text; (at = strstr(at, secret)); at += stars) {
    memset(at, '*', stars);
    memmove(at + stars, at + len, strlen(at + len) + 1);
  }
}

static void hide_value(const json_t *value, char *text) {
  const char *name;
  json_t *member;
  if (json_is_string(value)) hide_text(json_string_value(value), text);
  if (!json_is_object(value)) return;
  json_object_foreach((json_t *)(uintptr_t)value, name, member) {
    if (json_is_string(member)) hide_text(json_string_value(member), text);
  }
}

// A user's own headers count as secrets here: that is where tokens are put.
void sink_secrets_hide(const struct sink *sink, struct slice settings, char *text) {
  json_t *values = json_loadb(settings.at, settings.len, 0, NULL);
  if (!values) {
    text[0] = 0;
    return;
  }
  for (size_t i = 0; i < sink->setting_count; i++)
    if (sink->settings[i].secret || sink->settings[i].type == SINK_HEADERS)
      hide_value(json_object_get(values, sink->settings[i].name), text);
  json_decref(values);
}
