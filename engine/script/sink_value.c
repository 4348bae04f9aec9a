// sink_value.c - the checks of each setting type. Messages tell the rule and never the value, which may be a
// secret.
#include "base/limits.h"
#include "script/sink_setting.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static bool has_control(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)text[i] < 32 || text[i] == 127) return true;
  return false;
}

static bool fits_text(const struct sink_setting *s, const json_t *value, struct err *err) {
  if (!json_is_string(value)) return err_set(err, "must be a text");
  size_t len = json_string_length(value);
  if (has_control(json_string_value(value), len))
    return err_set(err, "must not contain control characters, such as a line end");
  if ((double)len >= s->min && (double)len <= s->max) return true;
  return err_set(err, "must be %.0f to %.0f bytes long", s->min, s->max);
}

static bool fits_number(const struct sink_setting *s, const json_t *value, struct err *err) {
  bool whole = s->type == SINK_INTEGER;
  if (whole ? !json_is_integer(value) : !json_is_number(value))
    return err_set(err, "must be a %snumber", whole ? "whole " : "");
  double number = json_number_value(value);
  if (number >= s->min && number <= s->max) return true;
  return err_set(err, "must be from %.15g to %.15g", s->min, s->max);
}

static bool fits_choice(const struct sink_setting *s, const json_t *value, struct err *err) {
  char words[300] = "";
  for (const char *const *c = s->choices; *c; c++) {
    if (json_is_string(value) && strcmp(json_string_value(value), *c) == 0) return true;
    size_t len = strlen(words);
    snprintf(words + len, sizeof words - len, "%s\"%s\"", len ? ", " : "", *c);
  }
  return err_set(err, "must be one of %s", words);
}

// ---- URLs ----

// "host", "host:port" or "[v6]:port"; no user, and nothing that readers of URLs disagree about.
static bool good_authority(const char *at, size_t len) {
  size_t host = 0;
  if (len > 0 && at[0] == '[') {
    for (host = 1; host < len && (isxdigit((unsigned char)at[host]) || strchr(":.", at[host])); host++)
      continue;
    if (host < 4 || host >= len || at[host++] != ']') return false;
  } else {
    while (host < len &&
           (isalnum((unsigned char)at[host]) || at[host] == '-' || at[host] == '.' || at[host] == '_'))
      host++;
    if (host == 0) return false;
  }
  if (host == len) return true;
  long port = 0;
  size_t digits = 0;
  if (at[host++] != ':') return false;
  for (; host + digits < len && digits < 6 && isdigit((unsigned char)at[host + digits]); digits++)
    port = port * 10 + (at[host + digits] - '0');
  return host + digits == len && port >= 1 && port <= 65535;
}

static bool fits_url(const json_t *value, struct err *err) {
  if (!json_is_string(value)) return err_set(err, "must be a text");
  const char *url = json_string_value(value);
  size_t len = json_string_length(value);
  if (len > LIMIT_URL_BYTES) return err_set(err, "must be at most %d bytes long", LIMIT_URL_BYTES);
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)url[i] <= ' ' || url[i] == 127)
      return err_set(err, "must not contain blanks or control characters");
  size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
  if (!scheme) return err_set(err, "must begin with http:// or https://");
  size_t authority = strcspn(url + scheme, "/?#");
  if (memchr(url + scheme, '@', authority))
    return err_set(err, "must not contain a user or a password: they have settings of their own");
  return good_authority(url + scheme, authority) || err_set(err, "has no host, or one that is not valid");
}

// ---- headers ----

static bool is_token(const char *name) {
  size_t len = strlen(name);
  for (size_t i = 0; i < len; i++)
    if (!isalnum((unsigned char)name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i])) return false;
  return len > 0 && len <= 128;
}

static bool is_engines(const char *name) {
  static const char *const names[] = {"host",       "content-length", "transfer-encoding", "connection", "expect", "content-encoding",
                                      "user-agent", "upgrade",        "te",                "keep-alive", NULL};
  for (int i = 0; names[i]; i++)
    if (strcasecmp(names[i], name) == 0) return true;
  return strncasecmp(name, "webhook-", 8) == 0;
}

static bool fits_header(const char *name, const json_t *value, struct err *err) {
  if (!is_token(name)) return err_set(err, "\"%.60s\" can't be the name of a header", name);
  if (is_engines(name)) return err_set(err, "%s is a header of the engine's own", name);
  if (!json_is_string(value)) return err_set(err, "%s must be a text", name);
  if (has_control(json_string_value(value), json_string_length(value)))
    return err_set(err, "%s must not contain control characters, such as a line end", name);
  if (json_string_length(value) <= LIMIT_SETTING_BYTES) return true;
  return err_set(err, "%s must be at most %d bytes long", name, LIMIT_SETTING_BYTES);
}

static bool fits_headers(const json_t *value, struct err *err) {
  if (!json_is_object(value)) return err_set(err, "must be an object of names and texts");
  if (json_object_size(value) > LIMIT_SETTING_HEADERS)
    return err_set(err, "must be at most %d headers", LIMIT_SETTING_HEADERS);
  const char *name;
  json_t *text;
  json_object_foreach((json_t *)(uintptr_t)value, name, text) {
    if (!fits_header(name, text, err)) return false;
  }
  return true;
}

bool sink_setting_fits(const struct sink_setting *s, const json_t *value, struct err *err) {
  switch (s->type) {
  case SINK_STRING:
  case SINK_SECRET:
    return fits_text(s, value, err);
  case SINK_INTEGER:
  case SINK_NUMBER:
    return fits_number(s, value, err);
  case SINK_BOOLEAN:
    return json_is_boolean(value) || err_set(err, "must be true or false");
  case SINK_CHOICE:
    return fits_choice(s, value, err);
  case SINK_URL:
    return fits_url(value, err);
  case SINK_HEADERS:
    return fits_headers(value, err);
  }
  return false;
}
