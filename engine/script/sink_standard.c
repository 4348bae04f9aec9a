#include "script/sink_standard.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/pem_file.h"
#include "net/webhook.h"

#include <assert.h>
#include <ctype.h>
#include <strings.h>

enum group { HEADERS, AUTH, SIGNING, TIMEOUT, TLS, GROUPS };
enum { DEFAULT_TIMEOUT_S = 30, MOST_TIMEOUT_S = 300, GROUP_SETTINGS = 4, TEXTS_BYTES = 1 << 20 };

#define TEXT .max = LIMIT_SETTING_BYTES
static const char *const auths[] = {"none", "basic", "bearer", NULL};

static const struct {
  const char *word;
  struct sink_setting settings[GROUP_SETTINGS];
} groups[GROUPS] = {
    [HEADERS] = {"headers", {{.name = "headers", .type = SINK_HEADERS, .label = "More headers", TEXT}}},
    [AUTH] = {"auth",
              {{.name = "auth", .type = SINK_CHOICE, .label = "Authentication", .choices = auths, TEXT},
               {.name = "username",
                .type = SINK_STRING,
                .label = "User name",
                .needed_by = "auth",
                .needed_value = "basic",
                TEXT},
               {.name = "password", .type = SINK_SECRET, .secret = true, .label = "Password", TEXT},
               {.name = "token",
                .type = SINK_SECRET,
                .secret = true,
                .label = "Bearer token",
                .needed_by = "auth",
                .needed_value = "bearer",
                TEXT}}},
    [SIGNING] = {"signing",
                 {{.name = "signing_secret",
                   .type = SINK_SECRET,
                   .secret = true,
                   .label = "Signing secret",
                   TEXT,
                   .help =
                       "Signs each request as Standard Webhooks says: whsec_ and base64, or any other text."},
                  {.name = "signing_secret_previous",
                   .type = SINK_SECRET,
                   .secret = true,
                   .label = "Previous signing secret",
                   TEXT,
                   .help = "Signed with as well while receivers change over."}}},
    [TIMEOUT] = {"timeout_s",
                 {{.name = "timeout_s",
                   .type = SINK_INTEGER,
                   .label = "Seconds to wait for an answer",
                   .min = 1,
                   .max = MOST_TIMEOUT_S}}},
    [TLS] = {"tls",
             {{.name = "ca",
               .type = SINK_STRING,
               .label = "File of certificate authorities",
               .help = "The system's when empty.",
               TEXT},
              {.name = "client_certificate",
               .type = SINK_STRING,
               .label = "File of the client certificate",
               TEXT},
              {.name = "client_key", .type = SINK_STRING, .label = "File of its key", TEXT}}},
};

// ---- declared ----

static enum group group_of(const char *word) {
  int g = 0;
  while (g < GROUPS && strcmp(groups[g].word, word) != 0)
    g++;
  return (enum group)g;
}

size_t sink_standard_count(const char *word) {
  enum group g = group_of(word);
  size_t count = 0;
  while (g < GROUPS && count < GROUP_SETTINGS && groups[g].settings[count].name)
    count++;
  return count;
}

bool sink_standard_declare(const char *word, struct sink_setting *out, unsigned *which) {
  enum group g = group_of(word);
  assert(g < GROUPS);
  memcpy(out, groups[g].settings, sink_standard_count(word) * sizeof *out);
  *which |= 1u << g;
  if (g == AUTH)
    out->initial = json_string(auths[0]);
  else if (g == TIMEOUT)
    out->initial = json_integer(DEFAULT_TIMEOUT_S);
  else
    return true;
  return out->initial != NULL;
}

// ---- read ----

#define AT(member) offsetof(struct sink_request, member)

static const struct {
  enum group group;
  const char *setting;
  size_t at; // in a request
} texts[SINK_STANDARD_TEXTS] = {
    {AUTH, "username", AT(username)},
    {AUTH, "password", AT(password)},
    {SIGNING, "signing_secret", AT(signing_secret)},
    {SIGNING, "signing_secret_previous", AT(signing_secret_previous)},
    {TLS, "ca", AT(ca)},
    {TLS, "client_certificate", AT(client_certificate)},
    {TLS, "client_key", AT(client_key)},
};

static const char *text_of(const json_t *settings, const char *name) {
  const char *text = json_string_value(json_object_get(settings, name));
  return text && *text ? text : NULL;
}

static bool is_auth(const json_t *settings, const char *kind) {
  const char *auth = text_of(settings, "auth");
  return auth && strcmp(auth, kind) == 0;
}

static bool check_secret(const json_t *settings, const char *name, struct err *err) {
  const char *secret = text_of(settings, name);
  return !secret || webhook_check_secret(secret, err) || err_prepend(err, "setting %s", name);
}

static bool check_signing(const json_t *settings, struct err *err) {
  if (text_of(settings, "signing_secret_previous") && !text_of(settings, "signing_secret"))
    return err_set(err, "setting signing_secret_previous: needs signing_secret, which signs as well");
  return check_secret(settings, "signing_secret", err) && check_secret(settings, "signing_secret_previous", err);
}

static bool check_auth(const json_t *settings, struct err *err) {
  const char *name, *user = text_of(settings, "username");
  bool basic = is_auth(settings, "basic");
  if (basic && user && strchr(user, ':'))
    return err_set(err, "setting username: must not contain a colon, which ends it in basic authentication");
  json_t *value, *headers = basic || is_auth(settings, "bearer") ? json_object_get(settings, "headers") : NULL;
  json_object_foreach(headers, name, value) {
    if (strcasecmp(name, "authorization") == 0)
      return err_set(err, "setting headers: %s is made from auth: leave one of them out", name);
  }
  return true;
}

bool sink_standard_check(unsigned which, const json_t *settings, struct err *err) {
  return (!(which & 1u << SIGNING) || check_signing(settings, err)) && (!(which & 1u << AUTH) || check_auth(settings, err));
}

static bool check_identity(const char *certificate, const char *key, struct err *err) {
  if (!certificate) return !key || err_set(err, "setting client_key: needs client_certificate");
  if (!pem_file_check_certificates(certificate, err)) return err_prepend(err, "setting client_certificate");
  return pem_file_check_key(key ? key : certificate, certificate, err) ||
         err_prepend(err, key ? "setting client_key" : "setting client_certificate (without client_key)");
}

bool sink_standard_check_files(unsigned which, const json_t *settings, const json_t *changed, struct err *err) {
  const char *ca = text_of(settings, "ca");
  if (!(which & 1u << TLS)) return true;
  if (ca && json_object_get(changed, "ca") && !pem_file_check_certificates(ca, err)) return err_prepend(err, "setting ca");
  if (!json_object_get(changed, "client_certificate") && !json_object_get(changed, "client_key")) return true;
  return check_identity(text_of(settings, "client_certificate"), text_of(settings, "client_key"), err);
}

static const char *next_line(const char *line) {
  return line + strlen(line) + 1;
}

static bool write_line(struct buf *out, const char *name, const char *front, const char *value) {
  size_t at = out->len;
  if (!buf_append_text(out, name)) return false;
  for (; at < out->len; at++)
    out->at[at] = (char)tolower((unsigned char)out->at[at]);
  return buf_append_text(out, ": ") && buf_append_text(out, front) &&
         buf_append(out, value, strlen(value) + 1);
}

static bool write_headers(struct buf *out, unsigned which, const json_t *settings, uint32_t *count) {
  const char *name,
      *token = which & 1u << AUTH && is_auth(settings, "bearer") ? text_of(settings, "token") : NULL;
  json_t *value, *more = which & 1u << HEADERS ? json_object_get(settings, "headers") : NULL;
  json_object_foreach(more, name, value) {
    if (!write_line(out, name, "", json_string_value(value))) return false;
    ++*count;
  }
  if (!token) return true;
  ++*count;
  return write_line(out, "authorization", "Bearer ", token);
}

static const char *setting_of(int i, unsigned which, const json_t *settings) {
  if (!(which & 1u << texts[i].group) || (texts[i].group == AUTH && !is_auth(settings, "basic"))) return NULL;
  return text_of(settings, texts[i].setting);
}

static bool write_all(struct buf *out, unsigned which, const json_t *settings, uint32_t *header_count) {
  if (!write_headers(out, which, settings, header_count)) return false;
  for (int i = 0; i < SINK_STANDARD_TEXTS; i++) {
    const char *text = setting_of(i, which, settings);
    if (text && !buf_append(out, text, strlen(text) + 1)) return false;
  }
  return true;
}

bool sink_standard_read(struct sink_standard *standard, unsigned which, const json_t *settings,
                        struct err *err) {
  struct buf out;
  buf_init(&out, TEXTS_BYTES);
  *standard = (struct sink_standard){.webhook = which & 1u << SIGNING};
  if (which & 1u << TIMEOUT)
    standard->timeout_ms = (uint32_t)json_integer_value(json_object_get(settings, "timeout_s")) * 1000;
  bool ok = write_all(&out, which, settings, &standard->header_count);
  char *exact = ok && out.len ? mem_grow(out.at, out.len) : NULL; // there may be very many streams
  standard->texts = exact ? exact : out.at;
  const char *at = standard->headers = standard->texts;
  for (uint32_t i = 0; ok && i < standard->header_count; i++)
    at = next_line(at);
  for (int i = 0; ok && i < SINK_STANDARD_TEXTS; i++) {
    if (!setting_of(i, which, settings)) continue;
    standard->values[i] = at;
    at += strlen(at) + 1;
  }
  return ok || err_set(err, "out of memory");
}

void sink_standard_fini(struct sink_standard *standard) {
  mem_free(standard->texts);
  *standard = (struct sink_standard){0};
}

// ---- applied ----

static bool same_name(const char *line, const char *other) {
  size_t len = strcspn(line, ":");
  return strncasecmp(line, other, len) == 0 && other[len] == ':';
}

static bool is_replaced(const struct sink_standard *standard, const char *own) {
  const char *line = standard->headers;
  for (uint32_t i = 0; i < standard->header_count; i++, line = next_line(line))
    if (same_name(line, own)) return true;
  return false;
}

static bool apply_headers(const struct sink_standard *standard, struct sink_request *r, struct err *err) {
  size_t kept = 0;
  for (size_t i = 0; r->headers[i]; i++)
    if (!is_replaced(standard, r->headers[i])) r->headers[kept++] = r->headers[i];
  if (kept + standard->header_count > SINK_HEADER_LINES)
    return err_set(err, "more than %d headers", SINK_HEADER_LINES);
  const char *line = standard->headers;
  for (uint32_t i = 0; i < standard->header_count; i++, line = next_line(line))
    r->headers[kept++] = line;
  r->headers[kept] = NULL;
  return true;
}

bool sink_standard_apply(const struct sink_standard *standard, struct sink_request *r, struct err *err) {
  bool own_webhook = r->webhook, own_user = r->username != NULL;
  r->webhook |= standard->webhook;
  if (!r->timeout_ms) r->timeout_ms = standard->timeout_ms;
  for (int i = 0; i < SINK_STANDARD_TEXTS; i++) {
    const char **member = (const char **)(void *)((char *)r + texts[i].at);
    bool said = (texts[i].group == SIGNING && own_webhook) || (texts[i].group == AUTH && own_user);
    if (!said && !*member) *member = standard->values[i];
  }
  return !standard->header_count || apply_headers(standard, r, err);
}
