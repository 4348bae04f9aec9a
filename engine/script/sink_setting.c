// sink_setting.c - what a sink file may say of a setting.
#include "script/sink_setting.h"
#include "base/limits.h"
#include "script/sink_standard.h"

#include <ctype.h>
#include <math.h>

static const char *const types[] = {"string", "secret", "integer", "number", "boolean",
                                    "choice", "url",    "headers", NULL};

const char *sink_setting_type_name(enum sink_setting_type type) {
  return types[type];
}

static bool read_type(const struct sink_table *t, struct sink_setting *s) {
  const char *name = NULL;
  if (!sink_table_text(t, "type", &name)) return false;
  for (int i = 0; name && types[i]; i++) {
    if (strcmp(types[i], name) != 0) continue;
    s->type = (enum sink_setting_type)i;
    s->secret = s->type == SINK_SECRET;
    return true;
  }
  return sink_table_fault(
      t, s->name, "setting %s: type must be string, secret, integer, number, boolean, choice, url or headers",
      s->name);
}

static bool read_range(const struct sink_table *t, struct sink_setting *s) {
  static const double integer_most = 9007199254740992.0; // 2^53: exact as a Lua number
  switch (s->type) {
  case SINK_INTEGER:
    s->min = -integer_most, s->max = integer_most;
    break;
  case SINK_NUMBER:
    s->min = -HUGE_VAL, s->max = HUGE_VAL;
    break;
  default:
    s->min = 0, s->max = LIMIT_SETTING_BYTES;
  }
  double most = s->max;
  if (!sink_table_number(t, "min", &s->min) || !sink_table_number(t, "max", &s->max)) return false;
  return (s->min <= s->max && s->max <= most) ||
         sink_table_fault(t, s->name, "setting %s: min and max leave no value", s->name);
}

// The list on top of the stack.
static bool copy_choices(const struct sink_table *t, struct sink_setting *s) {
  size_t count = lua_objlen(t->L, -1);
  const char **choices =
      count > 0 && count <= LIMIT_SINK_SETTINGS ? sink_own_room(t->own, (count + 1) * sizeof *choices) : NULL;
  for (size_t i = 0; choices && i < count; i++) {
    lua_rawgeti(t->L, -1, (int)i + 1);
    size_t len = 0;
    const char *at = lua_type(t->L, -1) == LUA_TSTRING ? lua_tolstring(t->L, -1, &len) : NULL;
    choices[i] = at && strlen(at) == len ? sink_own_text(t->own, at, len) : NULL;
    if (!choices[i]) choices = NULL;
    lua_pop(t->L, 1);
  }
  s->choices = choices;
  return choices || sink_table_fault(t, s->name, "setting %s: choices must be a list of texts", s->name);
}

static bool read_choices(const struct sink_table *t, struct sink_setting *s) {
  bool is_list = sink_table_field(t, "choices") == LUA_TTABLE;
  bool ok = is_list == (s->type == SINK_CHOICE) ? !is_list || copy_choices(t, s)
            : is_list ? sink_table_fault(t, s->name, "setting %s: only type \"choice\" has choices", s->name)
                      : sink_table_fault(t, s->name, "setting %s: type \"choice\" needs choices = { ... }",
                                         s->name);
  lua_pop(t->L, 1);
  return ok;
}

// required = true, or required = { other = "value" }: when that setting has that value.
static bool read_required(const struct sink_table *t, struct sink_setting *s) {
  if (sink_table_field(t, "required") != LUA_TTABLE) {
    lua_pop(t->L, 1);
    return sink_table_flag(t, "required", &s->required);
  }
  lua_pushnil(t->L);
  if (lua_next(t->L, -2) && lua_type(t->L, -2) == LUA_TSTRING && lua_type(t->L, -1) == LUA_TSTRING) {
    s->needed_by = sink_own_text(t->own, lua_tostring(t->L, -2), lua_objlen(t->L, -2));
    s->needed_value = sink_own_text(t->own, lua_tostring(t->L, -1), lua_objlen(t->L, -1));
  }
  lua_settop(t->L, lua_gettop(t->L) - (s->needed_value ? 3 : 1));
  return s->needed_value ||
         sink_table_fault(t, s->name, "setting %s: required must be true, false or { setting = \"value\" }",
                          s->name);
}

static json_t *initial_of(lua_State *L, enum sink_setting_type type) {
  switch (lua_type(L, -1)) {
  case LUA_TSTRING:
    return json_stringn(lua_tostring(L, -1), lua_objlen(L, -1));
  case LUA_TBOOLEAN:
    return json_boolean(lua_toboolean(L, -1));
  case LUA_TNUMBER: {
    double value = lua_tonumber(L, -1);
    bool is_whole = type == SINK_INTEGER && fabs(value) <= 9007199254740992.0 && value == floor(value);
    return is_whole ? json_integer((json_int_t)value) : json_real(value);
  }
  default:
    return NULL;
  }
}

static bool read_initial(const struct sink_table *t, struct sink_setting *s) {
  struct err why = {0};
  bool is_given = sink_table_field(t, "default") != LUA_TNIL;
  if (is_given) s->initial = initial_of(t->L, s->type);
  lua_pop(t->L, 1);
  if (!is_given) return true;
  if (!s->initial)
    return sink_table_fault(t, s->name, "setting %s: default must be a text, a number or a boolean", s->name);
  return sink_setting_fits(s, s->initial, &why) ||
         sink_table_fault(t, s->name, "setting %s: default %s", s->name, why.text);
}

static bool read_name(const struct sink_table *t, struct sink_setting *s) {
  lua_rawgeti(t->L, -1, 1);
  size_t len = lua_type(t->L, -1) == LUA_TSTRING ? lua_objlen(t->L, -1) : 0;
  const char *at = len ? lua_tostring(t->L, -1) : "";
  for (size_t i = 0; i < len; i++)
    if (!islower((unsigned char)at[i]) && !isdigit((unsigned char)at[i]) && at[i] != '_') len = 0;
  s->name = len && len <= 64 ? sink_own_text(t->own, at, len) : NULL;
  lua_pop(t->L, 1);
  s->label = s->name;
  return s->name ||
         sink_table_fault(t, "settings", "a setting begins with its name: 1 to 64 of a-z, 0-9 and \"_\"");
}

// The table on top of the stack.
static bool read_setting(const struct sink_table *t, struct sink_setting *s) {
  static const char *const known[] = {"",        "type", "label", "help",    "required", "secret",
                                      "default", "min",  "max",   "choices", NULL};
  if (lua_type(t->L, -1) != LUA_TTABLE)
    return sink_table_fault(t, "settings", "settings must be a list of tables");
  if (!read_name(t, s) || !sink_table_known(t, s->name, known) || !read_type(t, s)) return false;
  return sink_table_text(t, "label", &s->label) && sink_table_text(t, "help", &s->help) &&
         sink_table_flag(t, "secret", &s->secret) && read_required(t, s) && read_range(t, s) &&
         read_choices(t, s) && read_initial(t, s);
}

static bool is_declared(const struct sink *sink, const char *name) {
  for (size_t i = 0; i < sink->setting_count; i++)
    if (strcmp(sink->settings[i].name, name) == 0) return true;
  return false;
}

static bool check_names(const struct sink_table *t, const struct sink *sink) {
  for (size_t i = 0; i < sink->setting_count; i++) {
    const struct sink_setting *s = &sink->settings[i];
    for (size_t k = 0; k < i; k++)
      if (strcmp(sink->settings[k].name, s->name) == 0)
        return sink_table_fault(t, s->name, "setting %s is there twice", s->name);
    if (s->needed_by && !is_declared(sink, s->needed_by))
      return sink_table_fault(t, s->name, "setting %s: required names \"%.60s\", which is no setting",
                              s->name, s->needed_by);
  }
  return true;
}

// The element on top of the stack is the name of a group that many sinks share.
static const char *group_named(lua_State *L) {
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

static bool read_group(const struct sink_table *t, const char *word, struct sink_setting *out) {
  return sink_standard_declare(word, out, &t->own->standard) || err_set(t->err, "out of memory");
}

// How many settings the list makes; 0 after a fault.
static size_t count_settings(const struct sink_table *t, size_t elements) {
  size_t count = 0;
  for (size_t i = 0; i < elements && count <= LIMIT_SINK_SETTINGS; i++) {
    lua_rawgeti(t->L, -1, (int)i + 1);
    const char *word = group_named(t->L);
    size_t more = word ? sink_standard_count(word) : 1;
    if (!more)
      sink_table_fault(t, "settings",
                       "no settings are called \"%.60s\": headers, auth, signing, timeout_s or tls", word);
    lua_pop(t->L, 1);
    if (!more) return 0;
    count += more;
  }
  if (count <= LIMIT_SINK_SETTINGS) return count;
  sink_table_fault(t, "settings", "a sink has at most %d settings", LIMIT_SINK_SETTINGS);
  return 0;
}

// The list on top of the stack.
static bool read_list(const struct sink_table *t, struct sink *sink) {
  size_t elements = lua_objlen(t->L, -1), count = count_settings(t, elements);
  if (!count) return !elements;
  struct sink_setting *settings = sink_own_room(t->own, count * sizeof *settings);
  if (!settings) return err_set(t->err, "out of memory");
  sink->settings = settings;
  for (size_t i = 0; i < elements; i++) {
    struct sink_setting *at = &settings[sink->setting_count];
    lua_rawgeti(t->L, -1, (int)i + 1);
    const char *word = group_named(t->L);
    sink->setting_count += word ? sink_standard_count(word) : 1;
    bool ok = word ? read_group(t, word, at) : read_setting(t, at);
    lua_pop(t->L, 1);
    if (!ok) return false;
  }
  return check_names(t, sink);
}

bool sink_setting_read_all(const struct sink_table *t) {
  int type = sink_table_field(t, "settings");
  bool ok =
      type == LUA_TNIL || (type == LUA_TTABLE ? read_list(t, &t->own->sink)
                                              : sink_table_fault(t, "settings", "settings must be a list"));
  lua_pop(t->L, 1);
  return ok;
}
