// lua_hash.c - by libsodium, which asks the system for nothing: workers are not let.
#include "script/lua_hash.h"
#include "script/lua_base.h"

#include <sodium.h>

enum {
  HASH_BYTES = 16,    // shown; no two of 10^9 texts are likely to share them
  CHUNK_BYTES = 4096, // between two looks at the clock
  CALL_STEPS = 1500,  // what a call costs, however short the text: some 19,000 instructions
  BYTE_STEPS = 5,     // and each byte of it
};

// The text at `index`, or a number's digits, put in its place.
static struct slice text_at(lua_State *L, int index) {
  struct slice text;
  const char *type = lua_base_type(L, index);
  if (strcmp(type, "string") != 0 && strcmp(type, "number") != 0)
    luaL_error(L, "hash: takes a text or a number, not %s", type);
  lua_base_push_text(L, index);
  lua_replace(L, index);
  text.at = lua_tolstring(L, index, &text.len);
  return text;
}

static struct slice key_at(lua_State *L, int index) {
  struct slice key;
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "hash: the key must be a text, not %s", lua_base_type(L, index));
  key.at = lua_tolstring(L, index, &key.len);
  if (!key.len) luaL_error(L, "hash: the key is empty");
  if (key.len > LIMIT_SCRIPT_HASH_KEY_BYTES)
    luaL_error(L, "hash: the key is longer than %d bytes", LIMIT_SCRIPT_HASH_KEY_BYTES);
  return key;
}

static void digest(lua_State *L, struct slice text, struct slice key,
                   unsigned char out[crypto_auth_hmacsha256_BYTES]) {
  crypto_auth_hmacsha256_state state;
  lua_state_work(lua_state_of(L), CALL_STEPS);
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.at, key.len);
  for (size_t at = 0, len; at < text.len; at += len) {
    len = text.len - at < CHUNK_BYTES ? text.len - at : CHUNK_BYTES;
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text.at + at, len);
    lua_state_work(lua_state_of(L), len * BYTE_STEPS);
  }
  crypto_auth_hmacsha256_final(&state, out);
}

// nil for nil, so that an absent field stays absent.
static int hash(lua_State *L) {
  unsigned char bytes[crypto_auth_hmacsha256_BYTES];
  char text[2 * HASH_BYTES + 1];
  lua_settop(L, 2);
  struct slice key = key_at(L, 2);
  if (lua_isnil(L, 1)) {
    lua_pushnil(L);
    return 1;
  }
  digest(L, text_at(L, 1), key, bytes);
  sodium_bin2hex(text, sizeof text, bytes, HASH_BYTES);
  lua_pushlstring(L, text, sizeof text - 1);
  return 1;
}

void lua_hash_open(lua_State *L) {
  lua_pushcfunction(L, hash);
  lua_state_set_global(L, "hash");
}
