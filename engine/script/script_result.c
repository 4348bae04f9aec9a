#include "script/script_result.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_base.h"
#include "script/lua_encode.h"
#include "script/lua_text.h"
#include "script/record_proxy.h"
#include "script/sink_primitives.h"

void script_result_init(struct script_result *result) {
  *result = (struct script_result){0};
  buf_init(&result->bytes, LIMIT_RECORD_BYTES + LIMIT_RESULT_BYTES);
}

void script_result_fini(struct script_result *result) {
  buf_fini(&result->bytes);
  mem_free(result->outputs);
  result->outputs = NULL;
  result->output_count = result->output_cap = 0;
}

void script_result_filtered(struct script_result *result, struct slice reason) {
  char text[LIMIT_REASON_BYTES + 1];
  result->outcome = SCRIPT_FILTERED;
  size_t len = lua_text_clean(reason, text, sizeof text);
  memcpy(result->text, text, len + 1);
}

void script_result_failed(struct script_result *result, const struct lua_failure *failure) {
  result->outcome = failure->outcome;
  result->line = failure->line;
  result->bytes.len = 0;
  result->output_count = 0;
  result->alert_count = 0;
  lua_text_clean(slice_of(failure->text), result->text, sizeof result->text);
}

void script_result_alert_failed(struct script_result *result, const struct lua_failure *failure) {
  result->alert_failed = true;
  result->alert_count = 0;
  result->alert_line = failure->line;
  lua_text_clean(slice_of(failure->text), result->alert_text, sizeof result->alert_text);
}

// A new output, whose body begins here; NULL: out of memory.
static struct script_output *add_output(struct script_result *result) {
  if (result->output_count == result->output_cap) {
    uint32_t cap = result->output_cap ? result->output_cap * 2 : 4;
    struct script_output *outputs = mem_grow(result->outputs, cap * sizeof *outputs);
    if (!outputs) return NULL;
    result->outputs = outputs;
    result->output_cap = cap;
  }
  struct script_output *output = &result->outputs[result->output_count++];
  *output = (struct script_output){.body_at = (uint32_t)result->bytes.len};
  return output;
}

bool script_result_record(struct script_result *result, const struct json_tape *tape, uint32_t entry) {
  struct slice raw = json_raw(tape, entry);
  struct script_output *output = add_output(result);
  if (!output || !buf_append(&result->bytes, raw.at, raw.len)) return false;
  output->body_len = (uint32_t)raw.len;
  return true;
}

static void put_value(lua_State *L, int index, struct script_result *result, struct lua_encode_left *left) {
  struct err err;
  struct script_output *output = add_output(result);
  if (!output) luaL_error(L, "out of memory");
  err.text[0] = 0; // all of it would cost more than the check
  if (!lua_encode_within(L, index, &result->bytes, left, &err)) luaL_error(L, "result of map: %s", err.text);
  output->body_len = (uint32_t)result->bytes.len - output->body_at;
}

static void put_body(lua_State *L, int index, struct script_result *result, struct lua_encode_left *left) {
  uint32_t entry;
  if (!record_proxy_entry(L, index, &entry))
    put_value(L, index, result, left);
  else if (!script_result_record(result, lua_state_of(L)->tape, entry))
    luaL_error(L, "the result is too long");
}

// What is no table.
static void put_other(lua_State *L, int index, struct script_result *result, struct lua_encode_left *left) {
  const char *type = lua_base_type(L, index);
  if (strcmp(type, "table") != 0)
    luaL_error(L, "map must return a table, the record, array{...} of these, or nil: not a %s", type);
  put_body(L, index, result, left);
}

static void put_list(lua_State *L, int index, size_t count, struct script_result *result,
                     struct lua_encode_left *left) {
  if (count > SCRIPT_OUTPUTS) luaL_error(L, "map returns at most %d records", SCRIPT_OUTPUTS);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, index, (int)i);
    if (lua_type(L, -1) == LUA_TTABLE)
      put_value(L, lua_gettop(L), result, left);
    else
      put_other(L, lua_gettop(L), result, left);
    lua_pop(L, 1);
  }
}

void script_result_outputs(lua_State *L, int index, struct script_result *result) {
  struct lua_encode_left left = {LIMIT_RESULT_NODES, LIMIT_RESULT_BYTES};
  size_t count;
  if (lua_type(L, index) != LUA_TTABLE)
    put_other(L, index, result, &left);
  else if (lua_encode_is_array(L, index, &count))
    put_list(L, index, count, result, &left);
  else
    put_value(L, index, result, &left);
}

static void put_raw(lua_State *L, struct slice text, struct script_result *result) {
  struct script_output *output = add_output(result);
  if (!output || !buf_append(&result->bytes, text.at, text.len)) luaL_error(L, "the result is too long");
  output->body_len = (uint32_t)text.len;
}

// A sink's body is any value, or a text as it stands; the key behind it is a text or a number.
void script_result_body_and_key(lua_State *L, int body, struct script_result *result) {
  struct lua_encode_left left = {LIMIT_RESULT_NODES, LIMIT_RESULT_BYTES};
  struct slice text = sink_primitives_raw(L, body);
  if (text.at) put_raw(L, text, result);
  else put_body(L, body, result, &left);
  if (lua_isnil(L, body + 1)) return;
  struct script_output *output = &result->outputs[0];
  const char *type = lua_base_type(L, body + 1);
  if (strcmp(type, "string") != 0 && strcmp(type, "number") != 0)
    luaL_error(L, "map: a key is a string or a number, not a %s", type);
  struct slice key;
  lua_base_push_text(L, body + 1);
  key.at = lua_tolstring(L, -1, &key.len);
  output->key_at = (uint32_t)result->bytes.len;
  output->key_len = (uint32_t)key.len;
  if (!buf_append(&result->bytes, key.at, key.len)) luaL_error(L, "map: the key is too long");
}
