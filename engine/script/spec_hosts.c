// spec_hosts.c - stream(FILE, { parameters = }) and sink(FILE, settings): the scripts under test, as a spec
// holds them.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_encode.h"
#include "script/spec_parts.h"
#include "script/spec_record.h"

#include <ctype.h>
#include <limits.h>

// ---- what is open ----

static void close_host(struct spec *spec, struct spec_host *host) {
  spec_stream_close(host->stream);
  if (host->sink) spec->options->sinks->close(host->sink);
  *host = (struct spec_host){0};
}

void spec_hosts_close(struct spec *spec, uint32_t keep) {
  while (spec->host_count > keep)
    close_host(spec, &spec->hosts[--spec->host_count]);
}

static void check_room(lua_State *L, const struct spec *spec) {
  if (spec->host_count == LIMIT_SPEC_HOSTS)
    luaL_error(L, "more than %d streams and sinks at a time", LIMIT_SPEC_HOSTS);
}

// Pushes a method of the newest host: its upvalues are the spec and the host's number.
static void set_method(lua_State *L, struct spec *spec, const char *name, lua_CFunction method) {
  lua_pushlightuserdata(L, spec);
  lua_pushnumber(L, spec->hosts[spec->host_count - 1].number);
  lua_pushcclosure(L, method, 2);
  lua_setfield(L, -2, name);
}

// The host whose method is called, with all of `args` behind the object itself.
static struct spec_host *host_of(lua_State *L, const char *use) {
  struct spec *spec = spec_of(L);
  lua_Number number = lua_tonumber(L, lua_upvalueindex(2));
  if (lua_gettop(L) < 2 || lua_type(L, 1) != LUA_TTABLE) luaL_error(L, "call it as %s", use);
  for (uint32_t i = 0; i < spec->host_count; i++)
    if (spec->hosts[i].number == number) return &spec->hosts[i];
  luaL_error(L, "this stream or sink was made in a case that is over; make it in before_each");
  return NULL;
}

static struct spec_host *add_host(struct spec *spec) {
  struct spec_host *host = &spec->hosts[spec->host_count++];
  *host = (struct spec_host){.number = ++spec->hosts_made};
  return host;
}

static void file_argument(lua_State *L, const struct spec *spec, const char *word, char *path, size_t room) {
  if (lua_type(L, 1) != LUA_TSTRING) luaL_error(L, "%s takes a file's name", word);
  spec_find(L, spec, lua_tostring(L, 1), ".lua", path, room);
  spec->report->loading(spec->report->arg, path);
}

// ---- streams ----

static void push_outputs(lua_State *L, struct spec *spec, const struct script_result *result) {
  lua_createtable(L, (int)result->output_count, 0);
  for (uint32_t i = 0; result->outcome == SCRIPT_KEPT && i < result->output_count; i++) {
    const struct script_output *output = &result->outputs[i];
    spec_push_json(L, spec, slice_make(result->bytes.at + output->body_at, output->body_len), "a result");
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_error(lua_State *L, const struct script_result *result) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, result->text);
  lua_setfield(L, -2, "message");
  if (result->line) {
    lua_pushnumber(L, result->line);
    lua_setfield(L, -2, "line");
  }
}

static void push_alerts(lua_State *L, const struct script_result *result) {
  lua_newtable(L);
  for (uint32_t i = 0; i < result->alert_count; i++) {
    const struct script_alert *alert = &result->alerts[i];
    lua_createtable(L, 0, 4);
    lua_pushstring(L, alert->key);
    lua_setfield(L, -2, "key");
    lua_pushstring(L, alert->title);
    lua_setfield(L, -2, "title");
    lua_pushstring(L, script_severity_name(alert->severity));
    lua_setfield(L, -2, "severity");
    lua_pushnumber(L, alert->for_s);
    lua_setfield(L, -2, "for_s");
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static int stream_run(lua_State *L) {
  struct spec *spec = spec_of(L);
  struct spec_host *host = host_of(L, "stream:run(record)");
  struct err err = {{0}};
  struct slice record = spec_read_value(L, spec, 2, "the record");
  if (!spec_stream_run(host->stream, record, &err)) return luaL_error(L, "%s", err.text);
  const struct script_result *result = spec_stream_result(host->stream);
  lua_createtable(L, 0, 5);
  lua_pushboolean(L, result->outcome == SCRIPT_KEPT);
  lua_setfield(L, -2, "kept");
  if (result->outcome == SCRIPT_FILTERED) {
    lua_pushstring(L, result->text);
    lua_setfield(L, -2, "reason");
  }
  push_outputs(L, spec, result);
  lua_setfield(L, -2, "records");
  push_alerts(L, result);
  lua_setfield(L, -2, "alerts");
  if (spec_stream_failed(host->stream, spec->script_error, sizeof spec->script_error)) {
    push_error(L, result);
    lua_setfield(L, -2, "error");
  }
  return 1;
}

// The parameters of stream's second argument, as JSON.
static struct slice read_parameters(lua_State *L, struct spec *spec) {
  if (lua_isnoneornil(L, 2)) return slice_make("", 0);
  if (lua_type(L, 2) != LUA_TTABLE) luaL_error(L, "stream's second argument is { parameters = { ... } }");
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
    if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "parameters") != 0)
      luaL_error(L, "stream's second argument is { parameters = { ... } }");
  lua_settop(L, 2);
  lua_getfield(L, 2, "parameters");
  return lua_isnil(L, 3) ? slice_make("", 0) : spec_read_value(L, spec, 3, "parameters");
}

static int word_stream(lua_State *L) {
  struct spec *spec = spec_of(L);
  char path[PATH_MAX];
  struct err err = {{0}};
  file_argument(L, spec, "stream", path, sizeof path);
  check_room(L, spec);
  struct slice parameters = read_parameters(L, spec);
  struct spec_stream *stream = spec_stream_open(path, parameters, spec->options->coverage, &err);
  if (!stream) return luaL_error(L, "%s", err.text);
  add_host(spec)->stream = stream;
  lua_createtable(L, 0, 1);
  set_method(L, spec, "run", stream_run);
  return 1;
}

// ---- sinks ----

// One request on its way to the list.
struct gathering {
  struct spec *spec;
  const struct sink_batch *batch;
  const struct sink_request *request;
  struct slice body;
};

enum {
  RECORDS = 2,
  REQUESTS,
  GATHER
}; // the stack of sink_requests: what it was given, its list, what adds to it

static void set_text(lua_State *L, const char *name, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void set_true(lua_State *L, const char *name, bool value) {
  if (!value) return;
  lua_pushboolean(L, true);
  lua_setfield(L, -2, name);
}

static void push_lower(lua_State *L, struct slice name) {
  char lower[256];
  size_t len = name.len < sizeof lower ? name.len : sizeof lower;
  for (size_t i = 0; i < len; i++)
    lower[i] = (char)tolower((unsigned char)name.at[i]);
  lua_pushlstring(L, lower, len);
}

// __index of headers: a name is found however it is written.
static int find_header(lua_State *L) {
  struct slice name = {0};
  if (lua_type(L, 1) != LUA_TTABLE || lua_type(L, 2) != LUA_TSTRING) return 0;
  name.at = lua_tolstring(L, 2, &name.len);
  push_lower(L, name);
  lua_rawget(L, 1);
  return 1;
}

// Names in lower case, as HTTP/2 has them.
static void push_headers(lua_State *L, const char *const *lines) {
  lua_newtable(L);
  for (; *lines; lines++) {
    const char *colon = strstr(*lines, ": ");
    push_lower(L, slice_make(*lines, (size_t)(colon - *lines)));
    lua_pushstring(L, colon + 2);
    lua_rawset(L, -3);
  }
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, find_header);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "headers");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

// The body as text, and as a value if it is JSON.
static void push_body(lua_State *L, const struct gathering *g) {
  struct json_fault fault;
  lua_pushlstring(L, g->body.at ? g->body.at : "", g->body.len);
  lua_setfield(L, -2, "body");
  if (!json_tape_parse(&g->spec->tape, g->body, &fault)) return;
  spec_push_json(L, g->spec, g->body, "the body");
  lua_setfield(L, -2, "json");
}

// Arguments: a gathering, the list.
static int gather(lua_State *L) {
  const struct gathering *g = lua_touserdata(L, 1);
  const struct sink_request *r = g->request;
  lua_createtable(L, 0, 12);
  set_text(L, "method", r->method ? r->method : "POST");
  set_text(L, "url", r->url);
  push_headers(L, r->headers);
  lua_setfield(L, -2, "headers");
  push_body(L, g);
  set_text(L, "id", g->batch->id);
  lua_pushnumber(L, g->batch->record_count);
  lua_setfield(L, -2, "count");
  set_true(L, "gzip", r->gzip);
  set_true(L, "webhook", r->webhook);
  set_text(L, "signing_secret", r->signing_secret);
  set_text(L, "username", r->username);
  set_text(L, "password", r->password);
  set_text(L, "sign", r->sign);
  if (r->timeout_ms) {
    lua_pushnumber(L, r->timeout_ms / 1000.0);
    lua_setfield(L, -2, "timeout_s");
  }
  lua_rawseti(L, 2, (int)lua_objlen(L, 2) + 1);
  return 0;
}

// Called from a layer above in the midst of a request: an error must not fly over it.
static bool seen(void *arg, const struct sink_batch *batch, const struct sink_request *request,
                 struct slice body, struct err *err) {
  struct spec *spec = arg;
  lua_State *L = spec->lua->L;
  struct gathering g = {spec, batch, request, body};
  lua_pushvalue(L, GATHER);
  lua_pushlightuserdata(L, &g);
  lua_pushvalue(L, REQUESTS);
  if (lua_pcall(L, 2, 0, 0) == 0) return true;
  lua_pop(L, 1);
  return err_set(err, "the request can't be shown: out of memory");
}

static void add_record(lua_State *L, struct spec *spec, void *sink, int index, uint64_t sequence) {
  struct err err = {{0}};
  struct record_header header;
  const char *dropped;
  struct slice record = spec_read_value(L, spec, index, "a record");
  bool ok = spec_record_read(&spec->tape, record, &header, &err);
  header.sequence = sequence;
  if (!ok || !spec->options->sinks->add(sink, &header, record, &dropped, &err)) luaL_error(L, "%s", err.text);
}

static bool is_list(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) return false;
  if (lua_objlen(L, index)) return true;
  lua_pushnil(L);
  if (!lua_next(L, index)) return true;
  lua_pop(L, 2);
  return false;
}

static int sink_requests(lua_State *L) {
  struct spec *spec = spec_of(L);
  struct spec_host *host = host_of(L, "sink:requests(records)");
  struct err err = {{0}};
  lua_settop(L, RECORDS);
  lua_newtable(L);
  lua_pushcfunction(L, gather);
  bool list = is_list(L, RECORDS);
  for (size_t i = 1; list && i <= lua_objlen(L, RECORDS); i++) {
    lua_rawgeti(L, RECORDS, (int)i);
    add_record(L, spec, host->sink, lua_gettop(L), (uint64_t)i);
    lua_settop(L, GATHER);
  }
  if (!list) add_record(L, spec, host->sink, RECORDS, 1);
  if (!spec->options->sinks->flush(host->sink, &err)) return luaL_error(L, "%s", err.text);
  lua_settop(L, REQUESTS);
  return 1;
}

// ---- verdicts ----

static lua_Number number_field(lua_State *L, const char *name, lua_Number otherwise) {
  lua_getfield(L, 2, name);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "response.%s must be a number", name);
  lua_Number value = lua_isnil(L, -1) ? otherwise : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

// The text stays on the stack.
static struct slice text_field(lua_State *L, const char *name) {
  struct slice text = {"", 0};
  lua_getfield(L, 2, name);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "response.%s must be a text", name);
  if (!lua_isnil(L, -1)) text.at = lua_tolstring(L, -1, &text.len);
  return text;
}

// The texts stay on the stack, in their table.
static size_t read_headers(lua_State *L, struct http_header *out) {
  size_t count = 0;
  lua_getfield(L, 2, "headers");
  if (lua_isnil(L, -1)) return 0;
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "response.headers must be a table of names and texts");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING || count == HTTP_HEADERS_SEEN)
      luaL_error(L, "response.headers must be a table of names and texts, at most %d", HTTP_HEADERS_SEEN);
    out[count].name.at = lua_tolstring(L, -2, &out[count].name.len);
    out[count].value.at = lua_tolstring(L, -1, &out[count].value.len);
    count++;
  }
  return count;
}

static void read_response(lua_State *L, struct http_response *out, struct http_header *headers) {
  if (lua_type(L, 2) != LUA_TTABLE)
    luaL_error(L, "verdict takes a response: { status =, body =, headers =, retry_after =, error = }");
  lua_Number status = number_field(L, "status", 0), after = number_field(L, "retry_after", -1);
  if (status < 0 || status > 999 || status != (int)status)
    luaL_error(L, "response.status must be a status of HTTP, or 0");
  lua_getfield(L, 2, "refused");
  bool refused = lua_toboolean(L, -1);
  out->status = (int)status;
  out->outcome = refused ? HTTP_REFUSED : status != 0 ? HTTP_ANSWERED : HTTP_TRANSPORT;
  if (after > LIMIT_RETRY_AFTER_S) after = LIMIT_RETRY_AFTER_S;
  out->retry_after_ms = after >= 0 ? (int64_t)(after * 1000) : -1;
  out->took_us = (uint64_t)(number_field(L, "took_ms", 0) * 1000);
  out->body = text_field(L, "body");
  out->error = text_field(L, "error").at;
  out->headers = headers;
  out->header_count = read_headers(L, headers);
}

// Pushes the word and what goes with it.
static void push_verdict(lua_State *L, const struct sink_verdict *v) {
  static const char *const words[] = {
      [SINK_DELIVERED] = "delivered", [SINK_RETRY] = "retry", [SINK_REJECT] = "reject",
      [SINK_PAUSE] = "pause",         [SINK_AGAIN] = "again", [SINK_HALVE] = "halve"};
  lua_pushstring(L, words[v->kind]);
  if (v->kind == SINK_RETRY && v->seconds >= 0)
    lua_pushnumber(L, v->seconds);
  else if (v->kind != SINK_RETRY && v->kind != SINK_DELIVERED && v->why[0])
    lua_pushstring(L, v->why);
  else
    lua_pushnil(L);
}

static int push_each(lua_State *L, const struct sink_verdict *v, uint32_t count) {
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_createtable(L, 2, 0);
    push_verdict(L, &v->each[i]);
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int sink_verdict_of(lua_State *L) {
  struct spec *spec = spec_of(L);
  struct spec_host *host = host_of(L, "sink:verdict(response)");
  struct http_response response = {.retry_after_ms = -1};
  struct http_header headers[HTTP_HEADERS_SEEN];
  struct sink_verdict verdict;
  struct err err = {{0}};
  uint32_t count;
  read_response(L, &response, headers);
  if (!spec->options->sinks->verdict(host->sink, &response, &verdict, &count, &err))
    return luaL_error(L, "%s", err.text);
  if (verdict.each) return push_each(L, &verdict, count);
  push_verdict(L, &verdict);
  return 2;
}

// Opens the sink; NULL with err.
static void *open_sink(struct spec *spec, const char *path, struct slice settings, struct err *err) {
  size_t len;
  char *source = disk_read_file(path, LIMIT_SCRIPT_SOURCE_BYTES, &len, err);
  void *sink = source ? spec->options->sinks->open(path, slice_make(source, len), settings, seen, spec,
                                                   spec->options->coverage, err)
                      : NULL;
  mem_free(source);
  return sink;
}

static int word_sink(lua_State *L) {
  struct spec *spec = spec_of(L);
  char path[PATH_MAX];
  struct err err = {{0}};
  file_argument(L, spec, "sink", path, sizeof path);
  check_room(L, spec);
  struct slice settings = lua_isnoneornil(L, 2) ? slice_of("{}") : spec_read_value(L, spec, 2, "settings");
  void *sink = open_sink(spec, path, settings, &err);
  if (!sink) return luaL_error(L, "%s", err.text);
  add_host(spec)->sink = sink;
  lua_createtable(L, 0, 2);
  set_method(L, spec, "requests", sink_requests);
  set_method(L, spec, "verdict", sink_verdict_of);
  return 1;
}

void spec_hosts_open(lua_State *L, struct spec *spec) {
  spec_set_word(L, spec, "stream", word_stream);
  spec_set_word(L, spec, "sink", word_sink);
}
