#include "script/lua_encode.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_base.h"
#include "script/lua_exact.h"
#include "script/lua_fields.h"
#include "script/lua_value.h"
#include "script/record_proxy.h"

#include <math.h>
#include <stdio.h>

struct encoder {
  struct record_numbers *numbers; // the state's
  struct buf *out;
  size_t end;     // out may grow to it
  uint32_t nodes; // values that may follow
  struct err *err;
  const void *array_mark, *object_mark;
  struct fields fields;
  uint32_t depth;
  struct step { // of the path to the value: a place in a shape, a key, or with neither a number
    const struct fields_shape *shape;
    struct slice key;
    size_t number;
  } path[LIMIT_RESULT_DEPTH + 1];
  struct buf text; // json.encode's
};

static inline bool write_value(lua_State *L, struct encoder *e, const struct field *value);

static struct slice key_of(const struct step *step) {
  const struct fields_shape *shape = step->shape;
  return shape ? slice_make(shape->heads[step->number] + 2, (size_t)shape->lens[step->number] - 4)
               : step->key;
}

static void add_path(const struct encoder *e, char *out, size_t room) {
  size_t len = 0;
  out[0] = 0;
  for (uint32_t i = 1; i <= e->depth && len + 1 < room; i++) {
    const struct step *step = &e->path[i];
    struct slice key = key_of(step);
    int key_len = key.len < 64 ? (int)key.len : 64;
    if (!key.at)
      snprintf(out + len, room - len, "[%zu]", step->number);
    else
      snprintf(out + len, room - len, "%s%.*s", len ? "." : "", key_len, key.at);
    len += strlen(out + len);
  }
}

// "field 'a.b[2]': what is wrong"; false.
__attribute__((format(printf, 2, 3))) static bool fail(const struct encoder *e, const char *format, ...) {
  char path[256], what[160];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  add_path(e, path, sizeof path);
  return path[0] ? err_set(e->err, "field '%s': %s", path, what) : err_set(e->err, "%s", what);
}

static bool fail_long(const struct encoder *e) {
  return fail(e, "the result is longer than %d bytes", LIMIT_RESULT_BYTES);
}

static __attribute__((noinline, cold)) bool misfit(const struct encoder *e, bool written) {
  bool full = written || e->out->max - e->out->len < LIMIT_RESULT_BYTES;
  return full ? fail_long(e) : fail(e, "out of memory");
}

// Whether what was just written fits.
static inline bool fits(const struct encoder *e, bool written) {
  return written && e->out->len <= e->end ? true : misfit(e, written);
}

// ---- numbers, userdata, marks ----

static bool write_text(struct encoder *e, const struct record_number *number) {
  if (!buf_reserve(e->out, RECORD_NUMBER_BYTES)) return misfit(e, false);
  memcpy(e->out->at + e->out->len, number->text, RECORD_NUMBER_BYTES);
  e->out->len += number->len;
  return fits(e, true);
}

static bool write_number(struct encoder *e, double number) {
  const struct record_number *known = record_numbers_find(e->numbers, number);
  if (known) return write_text(e, known);
  bool negative_zero = number == 0 && signbit(number);
  if (!negative_zero && fabs(number) < 0x1p53 && (double)(int64_t)number == number)
    return fits(e, json_write_integer(e->out, (int64_t)number));
  if (isfinite(number)) return fits(e, json_write_real(e->out, number));
  return fail(e, isnan(number) ? "is not a number (NaN)" : "is infinite");
}

static bool write_userdata(lua_State *L, struct encoder *e, int index) {
  struct slice text = slice_make("null", 4);
  uint32_t entry;
  if (record_proxy_entry(L, index, &entry))
    text = json_raw(lua_state_of(L)->tape, entry);
  else if (!lua_value_is_null(L, index))
    text = lua_exact_digits(L, index);
  if (!text.at && lua_value_tag(L, index) == LUA_VALUE_RAW) return fail(e, "what raw() makes is a body, not a part of one");
  if (!text.at) return fail(e, "a userdata can't be written as JSON");
  if (text.len > e->end - e->out->len) return fail_long(e);
  return fits(e, buf_append(e->out, text.at, text.len));
}

static const void *mark_of(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  const void *mark = lua_topointer(L, -1);
  lua_pop(L, 1);
  return mark;
}

// ---- tables ----

// Takes the value at an index of the Lua stack. False: it must stay there.
static inline bool read_value(lua_State *L, int index, struct field *out) {
  out->type = lua_type(L, index);
  switch (out->type) {
  case LUA_TSTRING:
    out->text.at = lua_tolstring(L, index, &out->text.len);
    break;
  case LUA_TNUMBER:
    out->number = lua_tonumber(L, index);
    break;
  case LUA_TBOOLEAN:
    out->truth = lua_toboolean(L, index);
    break;
  default:
    out->index = index;
    return false;
  }
  return true;
}

// Puts the value on top of the stack below its key.
static void keep_value(lua_State *L, struct field *field) {
  luaL_checkstack(L, 8, "result");
  lua_insert(L, -2);
  field->index = lua_gettop(L) - 1;
}

static bool enter(struct encoder *e) {
  if (e->depth == LIMIT_RESULT_DEPTH)
    return fail(e, "more than %d tables inside each other", LIMIT_RESULT_DEPTH);
  e->depth++;
  return true;
}

// The table's length as a list; false when its keys are not just 1 to n.
static bool list_length(lua_State *L, const struct encoder *e, int index, size_t *len) {
  lua_Number most = 0;
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TNUMBER)
      return fail(e, "a list with a key that is a %s", lua_base_type(L, -2));
    lua_Number key = lua_tonumber(L, -2);
    if (!(key >= 1) || key != trunc(key)) return fail(e, "keys must be texts, or 1 to n without holes");
    if (key > most) most = key;
    if (++count > LIMIT_RESULT_NODES) return fail(e, "more than %d values", LIMIT_RESULT_NODES);
  }
  if (most != (lua_Number)count)
    return fail(e, "numbers as keys must be 1 to n without holes (null fills one)");
  *len = count;
  return true;
}

static bool write_list(lua_State *L, struct encoder *e, int index) {
  size_t len = 0;
  if (!list_length(L, e, index, &len) || !enter(e) || !fits(e, buf_append_byte(e->out, '['))) return false;
  for (size_t i = 1; i <= len; i++) {
    struct field value;
    e->path[e->depth] = (struct step){.number = i};
    if (i > 1 && !fits(e, buf_append_byte(e->out, ','))) return false;
    lua_rawgeti(L, index, (int)i);
    read_value(L, lua_gettop(L), &value);
    if (!write_value(L, e, &value)) return false;
    lua_pop(L, 1);
  }
  e->depth--;
  return fits(e, buf_append_byte(e->out, ']'));
}

// Takes the value on top of the stack. Tables and userdata stay there, below their key.
static inline void take_value(lua_State *L, struct field *field) {
  if (read_value(L, -1, field))
    lua_pop(L, 1);
  else
    keep_value(L, field);
}

// Takes the members of the table, from the key and value on top of the stack on, while they come as in a
// table before. Their keys are not filled in: the shape has them. NULL: they are no known table's.
static const struct fields_shape *collect_known(lua_State *L, struct encoder *e, int index) {
  const struct fields_shape *shape = fields_last(&e->fields, e->depth);
  uint32_t count = 0;
  if (!shape) return NULL;
  do {
    const void *key = lua_topointer(L, -2);
    if (count == shape->count || key != shape->keys[count]) {
      if (key) shape = fields_other(&e->fields, e->depth, shape, count, key);
      if (!key || !shape) return NULL;
    }
    struct field *field = fields_add(&e->fields);
    if (!field) return NULL;
    take_value(L, field);
    count++;
  } while (lua_next(L, index));
  return count == shape->count ? shape : fields_other(&e->fields, e->depth, shape, count, NULL);
}

// The same for any members.
static bool collect(lua_State *L, struct encoder *e, int index) {
  do {
    if (lua_type(L, -2) != LUA_TSTRING)
      return fail(e, "keys must be texts, not a %s beside them", lua_base_type(L, -2));
    if (e->fields.count > LIMIT_RESULT_NODES) return fail(e, "more than %d values", LIMIT_RESULT_NODES);
    struct field *field = fields_add(&e->fields);
    if (!field) return fail(e, "out of memory");
    field->key.at = lua_tolstring(L, -2, &field->key.len);
    take_value(L, field);
  } while (lua_next(L, index));
  return true;
}

static bool write_key(struct encoder *e, struct slice key, bool first) {
  return fits(e, buf_append_byte(e->out, first ? '{' : ',') && json_write_string(e->out, key) &&
                     buf_append_byte(e->out, ':'));
}

// A copy of constant length is cheap; what it puts behind the head is written over.
static bool write_head(struct encoder *e, const struct fields_shape *shape, uint32_t place, bool first) {
  struct buf *out = e->out;
  if (!buf_reserve(out, FIELDS_HEAD)) return misfit(e, false);
  char *to = out->at + out->len;
  memcpy(to, shape->heads[place], FIELDS_HEAD);
  if (first) *to = '{';
  out->len += shape->lens[place];
  return fits(e, true);
}

static bool write_known(lua_State *L, struct encoder *e, const struct fields_shape *shape, uint32_t first) {
  struct step *step = &e->path[e->depth];
  step->shape = shape;
  for (uint32_t i = 0; i < shape->count; i++) {
    uint32_t place = shape->places[i];
    step->number = place;
    if (!write_head(e, shape, place, i == 0)) return false;
    if (!write_value(L, e, &e->fields.at[first + place])) return false;
  }
  return true;
}

static bool write_sorted(lua_State *L, struct encoder *e, uint32_t first) {
  uint32_t count = e->fields.count - first;
  for (uint32_t i = 0; i < count; i++) {
    const struct field *field = &e->fields.at[first + e->fields.places[first + i]];
    e->path[e->depth] = (struct step){.key = field->key};
    if (!write_key(e, field->key, i == 0) || !write_value(L, e, field)) return false;
  }
  return true;
}

// The first key and value are on top of the stack.
static bool write_members(lua_State *L, struct encoder *e, int index) {
  uint32_t first = e->fields.count;
  int top = lua_gettop(L) - 2;
  const struct fields_shape *shape = collect_known(L, e, index);
  if (!shape) {
    e->fields.count = first;
    lua_settop(L, top);
    lua_pushnil(L);
    lua_next(L, index);
    if (!collect(L, e, index)) return false;
    fields_sort(L, &e->fields, first, e->depth);
  }
  if (!enter(e)) return false;
  if (!(shape ? write_known(L, e, shape, first) : write_sorted(L, e, first))) return false;
  e->fields.count = first;
  e->depth--;
  return fits(e, buf_append_byte(e->out, '}'));
}

static bool write_table(lua_State *L, struct encoder *e, int index) {
  luaL_checkstack(L, 8, "result");
  const void *mark = mark_of(L, index);
  if (mark && mark == e->array_mark) return write_list(L, e, index);
  int top = lua_gettop(L);
  lua_pushnil(L);
  if (!lua_next(L, index)) return fits(e, buf_append(e->out, "{}", 2));
  bool list = lua_type(L, -2) == LUA_TNUMBER && (!mark || mark != e->object_mark);
  if (list) lua_pop(L, 2);
  bool ok = list ? write_list(L, e, index) : write_members(L, e, index);
  lua_settop(L, top);
  return ok;
}

static bool write_other(lua_State *L, struct encoder *e, const struct field *value) {
  switch (value->type) {
  case LUA_TBOOLEAN:
    return fits(e, buf_append_text(e->out, value->truth ? "true" : "false"));
  case LUA_TNIL:
    return fits(e, buf_append(e->out, "null", 4));
  case LUA_TLIGHTUSERDATA:
  case LUA_TUSERDATA:
    return write_userdata(L, e, value->index);
  case LUA_TTABLE:
    return write_table(L, e, value->index);
  }
  return fail(e, "a %s can't be written as JSON", lua_typename(L, value->type));
}

static inline bool write_value(lua_State *L, struct encoder *e, const struct field *value) {
  if (!e->nodes) return fail(e, "more than %d values", LIMIT_RESULT_NODES);
  e->nodes--;
  if (value->type == LUA_TSTRING) return fits(e, json_write_string(e->out, value->text));
  if (value->type == LUA_TNUMBER) return write_number(e, value->number);
  return write_other(L, e, value);
}

// ---- the state's encoder ----

static struct encoder *encoder_of(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  if (s->encoder) return s->encoder;
  struct encoder *e = mem_zero(1, sizeof *e);
  if (!e) return NULL;
  e->numbers = &s->numbers;
  buf_init(&e->text, LIMIT_RECORD_BYTES + LIMIT_RESULT_BYTES);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_ARRAY);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_OBJECT);
  e->array_mark = lua_topointer(L, -2);
  e->object_mark = lua_topointer(L, -1);
  lua_pop(L, 2);
  return s->encoder = e;
}

void lua_encode_free(struct encoder *e) {
  if (!e) return;
  fields_fini(&e->fields);
  buf_fini(&e->text);
  mem_free(e);
}

bool lua_encode_within(lua_State *L, int index, struct buf *out, struct lua_encode_left *left,
                       struct err *err) {
  struct encoder *e = encoder_of(L);
  if (!e) return err_set(err, "out of memory");
  if (index < 0) index += lua_gettop(L) + 1;
  size_t before = out->len;
  e->out = out;
  e->end = before + left->bytes;
  e->nodes = left->nodes;
  e->err = err;
  e->fields.count = e->depth = 0;
  struct field value;
  read_value(L, index, &value);
  bool ok = write_value(L, e, &value);
  if (!ok) out->len = before;
  left->nodes = e->nodes;
  left->bytes -= out->len - before;
  return ok;
}

bool lua_encode(lua_State *L, int index, struct buf *out, struct err *err) {
  struct lua_encode_left left = {LIMIT_RESULT_NODES, LIMIT_RESULT_BYTES};
  return lua_encode_within(L, index, out, &left, err);
}

bool lua_encode_is_array(lua_State *L, int index, size_t *len) {
  const struct encoder *e = encoder_of(L);
  if (!e || mark_of(L, index) != e->array_mark) return false;
  *len = lua_objlen(L, index);
  return true;
}

static int json_encode(lua_State *L) {
  struct err err = {{0}};
  struct encoder *e = encoder_of(L);
  luaL_checkany(L, 1);
  if (!e) return luaL_error(L, "out of memory");
  e->text.len = 0;
  if (!lua_encode(L, 1, &e->text, &err)) return luaL_error(L, "json.encode: %s", err.text);
  lua_pushlstring(L, e->text.at, e->text.len);
  return 1;
}

void lua_encode_open(lua_State *L) {
  fields_open(L);
  lua_newtable(L);
  lua_pushcfunction(L, json_encode);
  lua_setfield(L, -2, "encode");
  lua_state_set_global(L, "json");
}
