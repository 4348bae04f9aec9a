// sink_request.c - no text is copied but header lines, which go to one reused buffer.
#include "script/sink_request.h"
#include "base/clock.h"
#include "base/suggest.h"

#include <ctype.h>

enum {
  METHOD_BYTES = 16,
  URL_BYTES = 8192, // with what a request adds to the setting's
  TIMEOUT_MOST_S = 600,
};

// One request being read: the field's value is on top of the stack.
struct reading {
  lua_State *L;
  struct sink_call *call;
  struct sink_request *out;
  uint32_t lines[SINK_HEADER_LINES]; // offsets in runner->lines, which may move
  uint32_t line_count;
};

struct field {
  const char *name;
  void (*read)(struct reading *r, const struct field *field);
  size_t at; // in struct sink_request
};

static void *member_of(const struct reading *r, const struct field *f) {
  return (char *)r->out + f->at;
}

static bool has_control(const char *at, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (((unsigned char)at[i] < 32 && at[i] != '\t') || at[i] == 127) return true;
  return false;
}

// A text without control characters; empty counts as absent.
static const char *text_value(const struct reading *r, const char *name) {
  size_t len = 0;
  if (lua_type(r->L, -1) != LUA_TSTRING) luaL_error(r->L, "request: '%s' must be a text", name);
  const char *at = lua_tolstring(r->L, -1, &len);
  if (has_control(at, len)) luaL_error(r->L, "request: '%s' has a control character in it", name);
  return len ? at : NULL;
}

static void read_text(struct reading *r, const struct field *f) {
  *(const char **)member_of(r, f) = text_value(r, f->name);
}

static void read_body(struct reading *r, const struct field *f) {
  struct slice *body = member_of(r, f);
  if (lua_type(r->L, -1) != LUA_TSTRING) luaL_error(r->L, "request: 'body' must be a text");
  body->at = lua_tolstring(r->L, -1, &body->len);
}

static void read_flag(struct reading *r, const struct field *f) {
  if (lua_type(r->L, -1) != LUA_TBOOLEAN) luaL_error(r->L, "request: '%s' must be true or false", f->name);
  *(bool *)member_of(r, f) = lua_toboolean(r->L, -1);
}

static void read_timeout(struct reading *r, const struct field *f) {
  lua_Number seconds = lua_type(r->L, -1) == LUA_TNUMBER ? lua_tonumber(r->L, -1) : 0;
  if (!(seconds >= 0.001 && seconds <= TIMEOUT_MOST_S))
    luaL_error(r->L, "request: '%s' must be seconds from 0.001 to %d", f->name, TIMEOUT_MOST_S);
  *(uint32_t *)member_of(r, f) = (uint32_t)(seconds * 1000);
}

// webhook = true, or { secret =, previous = }
static void read_webhook(struct reading *r, const struct field *f) {
  struct sink_request *out = r->out;
  if (lua_type(r->L, -1) != LUA_TTABLE) {
    read_flag(r, f);
    return;
  }
  out->webhook = true;
  for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
    const char *name = lua_type(r->L, -2) == LUA_TSTRING ? lua_tostring(r->L, -2) : "";
    if (strcmp(name, "secret") == 0)
      out->signing_secret = text_value(r, "webhook.secret");
    else if (strcmp(name, "previous") == 0)
      out->signing_secret_previous = text_value(r, "webhook.previous");
    else
      luaL_error(r->L, "request: webhook is true or { secret =, previous = }");
  }
}

// ---- headers ----

static bool is_token(const char *at, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (!isalnum((unsigned char)at[i]) && (at[i] == 0 || !strchr("!#$%&'*+-.^_`|~", at[i]))) return false;
  return len > 0;
}

static void add_line(struct reading *r, struct slice name, struct slice value) {
  struct buf *lines = &r->call->binding->state->runner->lines;
  size_t bytes = name.len + value.len + 3;
  if (r->line_count == SINK_HEADER_LINES)
    luaL_error(r->L, "request: more than %d headers", SINK_HEADER_LINES);
  if (lines->len + bytes > lines->max) luaL_error(r->L, "request: the headers are too long");
  if (!buf_reserve(lines, bytes)) {
    r->call->passing = true;
    luaL_error(r->L, "request: out of memory");
  }
  r->lines[r->line_count++] = (uint32_t)lines->len;
  buf_append(lines, name.at, name.len);
  buf_append(lines, ": ", 2);
  buf_append(lines, value.at, value.len);
  buf_append_byte(lines, 0);
}

// The name is at -2, the value at -1 and stays as it is.
static void read_header(struct reading *r) {
  lua_State *L = r->L;
  struct slice name, value;
  if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "request: headers must be { name = value }");
  name.at = lua_tolstring(L, -2, &name.len);
  if (!is_token(name.at, name.len))
    luaL_error(L, "request: a header's name has a character that can't be in one");
  if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "request: header '%s' must be a text or a number", name.at);
  lua_pushvalue(L, -1); // turning a number into text changes what is on the stack
  value.at = lua_tolstring(L, -1, &value.len);
  if (has_control(value.at, value.len))
    luaL_error(L, "request: header '%s' has a control character in it", name.at);
  add_line(r, name, value);
  lua_pop(L, 1);
}

static void read_headers(struct reading *r, const struct field *f) {
  if (lua_type(r->L, -1) != LUA_TTABLE)
    luaL_error(r->L, "request: '%s' must be a table { name = value }", f->name);
  for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1))
    read_header(r);
}

static void set_headers(struct reading *r) {
  for (uint32_t i = 0; i < r->line_count; i++)
    r->out->headers[i] = r->call->binding->state->runner->lines.at + r->lines[i];
  r->out->headers[r->line_count] = NULL;
}

// ---- the table ----

#define AT(member) offsetof(struct sink_request, member)

static const struct field fields[] = {
    {"url", read_text, AT(url)},
    {"method", read_text, AT(method)},
    {"headers", read_headers, AT(headers)},
    {"body", read_body, AT(body)},
    {"gzip", read_flag, AT(gzip)},
    {"webhook", read_webhook, AT(webhook)},
    {"username", read_text, AT(username)},
    {"password", read_text, AT(password)},
    {"sign", read_text, AT(sign)},
    {"ca", read_text, AT(ca)},
    {"client_certificate", read_text, AT(client_certificate)},
    {"client_key", read_text, AT(client_key)},
    {"timeout_s", read_timeout, AT(timeout_ms)},
};
enum { FIELDS = sizeof fields / sizeof *fields };

void sink_request_push_fields(lua_State *L) {
  lua_createtable(L, 0, FIELDS);
  for (int i = 0; i < FIELDS; i++) {
    lua_pushinteger(L, i + 1);
    lua_setfield(L, -2, fields[i].name);
  }
}

static void refuse_unknown(lua_State *L, const char *name) {
  const char *words[FIELDS + 1];
  for (int i = 0; i < FIELDS; i++)
    words[i] = fields[i].name;
  words[FIELDS] = NULL;
  const char *meant = suggest(name, words);
  if (meant) luaL_error(L, "request: unknown '%s': did you mean '%s'?", name, meant);
  luaL_error(L, "request: unknown '%s'", name);
}

// The number of the field whose name is at `index`.
static const struct field *field_of(lua_State *L, int index, int names) {
  if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "request: a value without a name");
  lua_pushvalue(L, index);
  lua_rawget(L, names);
  lua_Integer number = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (number == 0) refuse_unknown(L, lua_tostring(L, index));
  return &fields[number - 1];
}

static void check_whole(lua_State *L, struct sink_request *out) {
  if (!out->url) luaL_error(L, "request: 'url' is missing");
  if (strlen(out->url) > URL_BYTES) luaL_error(L, "request: 'url' is longer than %d bytes", URL_BYTES);
  if (!out->method) out->method = "POST";
  size_t len = strlen(out->method);
  for (size_t i = 0; i < len; i++)
    if (!isupper((unsigned char)out->method[i])) len = METHOD_BYTES;
  if (len >= METHOD_BYTES) luaL_error(L, "request: 'method' must be capital letters, such as \"POST\"");
}

// Reads the table on top of the stack, which stays there.
static void read_request(lua_State *L, struct sink_call *call) {
  struct reading r = {.L = L, .call = call, .out = call->out};
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "request must return a table { url = ... }");
  int table = lua_gettop(L), names = table + 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->binding->state->fields);
  call->binding->state->runner->lines.len = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    const struct field *f = field_of(L, names + 1, names);
    f->read(&r, f);
  }
  lua_settop(L, table);
  check_whole(L, r.out);
  set_headers(&r);
  call->ok = true;
}

static void clear(struct sink_request *out) {
  out->headers[0] = NULL;
  memset(&out->body, 0, sizeof *out - AT(body));
  out->url = out->method = NULL;
}

static int run_request(lua_State *L) {
  struct sink_call *call = lua_touserdata(L, 1);
  sink_runner_push_hook(L, call, "request");
  sink_runner_push_view(L, call);
  sink_runner_push_settings(L, call);
  lua_call(L, 2, 1);
  read_request(L, call);
  return 1;
}

static int run_probe(lua_State *L) {
  struct sink_call *call = lua_touserdata(L, 1);
  sink_runner_push_hook(L, call, "probe");
  sink_runner_push_settings(L, call);
  lua_pushnumber(L, (lua_Number)clock_ms());
  lua_call(L, 2, 1);
  read_request(L, call);
  return 1;
}

static bool is_complete(const struct sink_binding *binding, const struct sink_request *out, struct err *err) {
  if (binding->limits.framing != SINK_CUSTOM || out->body.at) return true;
  return err_set(err, "%s: request: 'body' is missing, for framing is \"custom\"",
                 binding->state->sink->file);
}

static bool make(struct sink_call *call, lua_CFunction run, struct sink_request *out) {
  clear(out);
  bool ok = sink_runner_call(call, run);
  out->passing = call->passing;
  return ok && sink_standard_apply(&call->binding->standard, out, call->err);
}

bool sink_request(struct sink_binding *binding, const struct sink_batch *batch, struct sink_request *out,
                  struct err *err) {
  struct sink_call call = {.binding = binding, .batch = batch, .out = out, .err = err};
  return make(&call, run_request, out) && is_complete(binding, out, err);
}

bool sink_probe(struct sink_binding *binding, struct sink_request *out, struct err *err) {
  struct sink_call call = {.binding = binding, .out = out, .err = err};
  return make(&call, run_probe, out);
}
