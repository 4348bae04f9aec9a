// sink_data.c - each key that a sink file may have, with its type and range; an unknown one is an error with
// a suggestion.
#include "script/sink_data.h"
#include "base/limits.h"
#include "script/sink_setting.h"
#include "script/sink_table.h"

#include <ctype.h>

enum { NAME_BYTES = 64 };

static const char *const framings[] = {"one", "array", "lines", "custom", NULL};

// A whole number from 1 to `max`.
static bool read_count(const struct sink_table *t, const char *name, uint32_t max, uint32_t *out) {
  double value = *out;
  if (!sink_table_number(t, name, &value)) return false;
  if (!(value >= 1 && value <= max) || value != (double)(uint32_t)value)
    return sink_table_fault(t, name, "%s must be a whole number from 1 to %u", name, max);
  *out = (uint32_t)value;
  return true;
}

// ---- the parts of a sink ----

static bool read_api(const struct sink_table *t) {
  double api = 0;
  if (!sink_table_number(t, "api", &api)) return false;
  return api == 1 || sink_table_fault(t, "api", "api must be 1");
}

static bool read_name(const struct sink_table *t) {
  struct sink *sink = &t->own->sink;
  if (!sink_table_text(t, "name", &sink->name)) return false;
  size_t len = sink->name ? strlen(sink->name) : 0;
  for (size_t i = 0; i < len; i++)
    if (!islower((unsigned char)sink->name[i]) && !isdigit((unsigned char)sink->name[i]) &&
        !strchr("_-", sink->name[i]))
      len = 0;
  if (len == 0 || len > NAME_BYTES)
    return sink_table_fault(t, "name", "name must be 1 to %d of a-z, 0-9, \"_\" and \"-\"", NAME_BYTES);
  sink->title = sink->name;
  return sink_table_text(t, "title", &sink->title);
}

static unsigned kind_named(const char *name) {
  for (unsigned kind = RECORD_EVENT; kind < RECORD_KINDS; kind++)
    if (strcmp(record_kind_name((enum record_kind)kind), name) == 0) return 1u << kind;
  return 0;
}

// The list on top of the stack.
static bool read_kinds(const struct sink_table *t, unsigned *out) {
  for (lua_pushnil(t->L); lua_next(t->L, -2); lua_pop(t->L, 1)) {
    unsigned kind = lua_type(t->L, -1) == LUA_TSTRING ? kind_named(lua_tostring(t->L, -1)) : 0;
    if (!kind)
      return sink_table_fault(t, "accepts", "accepts must be a list of \"event\", \"usage\", \"alert\"");
    *out |= kind;
  }
  return *out || sink_table_fault(t, "accepts", "accepts must name a kind of record");
}

static bool read_accepts(const struct sink_table *t) {
  int type = sink_table_field(t, "accepts");
  if (type == LUA_TNIL) t->own->sink.accepts = 1u << RECORD_EVENT | 1u << RECORD_USAGE | 1u << RECORD_ALERT;
  if (type != LUA_TNIL && type != LUA_TTABLE) return sink_table_fault(t, "accepts", "accepts must be a list");
  bool ok = type == LUA_TNIL || read_kinds(t, &t->own->sink.accepts);
  lua_pop(t->L, 1);
  return ok;
}

static bool read_framing(const struct sink_table *t) {
  int type = sink_table_field(t, "framing");
  t->own->framing_by_settings = type == LUA_TFUNCTION;
  bool ok = type == LUA_TNIL || type == LUA_TFUNCTION ||
            (type == LUA_TSTRING && sink_data_framing(lua_tostring(t->L, -1), &t->own->framing));
  lua_pop(t->L, 1);
  return ok || sink_table_fault(t, "framing",
                                "framing must be \"one\", \"array\", \"lines\", \"custom\" or a function");
}

static bool read_batch_by(const struct sink_table *t) {
  const char *by = NULL;
  if (!sink_table_text(t, "by", &by)) return false;
  t->own->sink.by_kind = by != NULL;
  return !by || strcmp(by, "kind") == 0 || sink_table_fault(t, "by", "by must be \"kind\"");
}

// The table on top of the stack.
static bool read_batch_fields(const struct sink_table *t) {
  static const char *const known[] = {"records", "bytes", "seconds", "by", "one_per_key", "planned", NULL};
  struct sink *sink = &t->own->sink;
  double seconds = 0;
  if (!sink_table_known(t, "batch", known) ||
      !read_count(t, "records", LIMIT_BATCH_RECORDS, &sink->batch_records) ||
      !read_count(t, "bytes", LIMIT_BATCH_BYTES, &sink->batch_bytes) ||
      !sink_table_number(t, "seconds", &seconds) || !read_batch_by(t) ||
      !sink_table_flag(t, "one_per_key", &sink->one_per_key) ||
      !sink_table_flag(t, "planned", &sink->planned))
    return false;
  if (!(seconds >= 0 && seconds * 1000 <= LIMIT_HOLD_MS))
    return sink_table_fault(t, "seconds", "seconds must be from 0 to %d", LIMIT_HOLD_MS / 1000);
  sink->batch_ms = (uint32_t)(seconds * 1000);
  return true;
}

static bool read_batch(const struct sink_table *t) {
  struct sink *sink = &t->own->sink;
  bool one = t->own->framing == SINK_ONE && !t->own->framing_by_settings;
  sink->batch_records = one ? 1 : 1000;
  sink->batch_bytes = 4 << 20;
  int type = sink_table_field(t, "batch");
  bool ok = type == LUA_TNIL || (type == LUA_TTABLE ? read_batch_fields(t)
                                                    : sink_table_fault(t, "batch", "batch must be a table"));
  lua_pop(t->L, 1);
  if (ok && one && sink->batch_records != 1)
    return sink_table_fault(t, "records", "framing \"one\" sends one record: batch.records must be 1");
  return ok;
}

static bool read_hook(const struct sink_table *t, const char *name, bool *has) {
  int type = sink_table_field(t, name);
  lua_pop(t->L, 1);
  *has = type == LUA_TFUNCTION;
  return *has || type == LUA_TNIL || sink_table_fault(t, name, "%s must be a function", name);
}

static bool read_hooks(const struct sink_table *t) {
  struct sink *sink = &t->own->sink;
  if (!read_hook(t, "map", &sink->has_map) || !read_hook(t, "request", &sink->has_request) ||
      !read_hook(t, "verdict", &sink->has_verdict) || !read_hook(t, "probe", &sink->has_probe))
    return false;
  return sink->has_request ||
         sink_table_fault(t, "request", "the function request(batch, settings) is missing");
}

// ---- the whole ----

static int read_all(lua_State *L) {
  static const char *const known[] = {"api",   "name", "title",   "accepts", "framing", "settings",
                                      "batch", "map",  "request", "verdict", "probe",   NULL};
  struct sink_table *t = lua_touserdata(L, 1);
  t->L = L;
  if (lua_type(L, -1) != LUA_TTABLE) {
    sink_table_fault(t, "", "a sink must return a table");
    return 0;
  }
  t->ok = sink_table_known(t, "sink", known) && read_api(t) && read_name(t) && read_accepts(t) &&
          read_framing(t) && sink_setting_read_all(t) && read_batch(t) && read_hooks(t);
  return 0;
}

bool sink_data_read(struct lua_state *s, struct sink_own *own, struct err *err) {
  struct sink_table t = {.own = own, .err = err};
  struct lua_failure failure;
  if (!lua_state_protect(s, read_all, &t, 1, 0, &failure))
    return lua_failure_err(&failure, own->sink.file, err);
  return t.ok;
}

bool sink_data_framing(const char *name, enum sink_framing *out) {
  for (int i = 0; framings[i]; i++) {
    if (strcmp(framings[i], name) != 0) continue;
    *out = (enum sink_framing)i;
    return true;
  }
  return false;
}
