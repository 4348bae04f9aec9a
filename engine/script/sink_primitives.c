// sink_primitives.c - digests are given as text: Lua has no use for their bytes. By libsodium, and for base64 a function of OpenSSL's that
// asks for nothing either: map runs in a worker, which has no file to read and no memory but its own.
#include "script/sink_primitives.h"
#include "script/lua_state.h"
#include "script/lua_value.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

enum { DIGEST_BYTES = crypto_hash_sha256_BYTES };

_Static_assert(DIGEST_BYTES == crypto_auth_hmacsha256_BYTES, "");

static struct slice text_argument(lua_State *L, int index) {
  struct slice text;
  luaL_checktype(L, index, LUA_TSTRING);
  text.at = lua_tolstring(L, index, &text.len);
  return text;
}

static int push_base64(lua_State *L, struct slice bytes) {
  if (bytes.len > INT32_MAX / 2) return luaL_error(L, "base64: too long");
  unsigned char *out = lua_newuserdata(L, 4 * ((bytes.len + 2) / 3) + 1);
  int len = EVP_EncodeBlock(out, (const unsigned char *)bytes.at, (int)bytes.len);
  lua_pushlstring(L, (const char *)out, (size_t)len);
  return 1;
}

static int push_hex(lua_State *L, const unsigned char *digest) {
  char text[2 * DIGEST_BYTES + 1];
  sodium_bin2hex(text, sizeof text, digest, DIGEST_BYTES);
  lua_pushlstring(L, text, sizeof text - 1);
  return 1;
}

// base64(text)
static int base64(lua_State *L) {
  return push_base64(L, text_argument(L, 1));
}

// sha256(text): hex
static int sha256(lua_State *L) {
  unsigned char digest[DIGEST_BYTES];
  struct slice text = text_argument(L, 1);
  crypto_hash_sha256(digest, (const unsigned char *)text.at, text.len);
  return push_hex(L, digest);
}

// hmac_sha256(key, text [, "hex" | "base64"])
static int hmac_sha256(lua_State *L) {
  unsigned char digest[DIGEST_BYTES];
  crypto_auth_hmacsha256_state state;
  struct slice key = text_argument(L, 1), text = text_argument(L, 2);
  static const char *const forms[] = {"hex", "base64", NULL};
  bool is_hex = luaL_checkoption(L, 3, "hex", forms) == 0;
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.at, key.len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)text.at, text.len);
  crypto_auth_hmacsha256_final(&state, digest);
  return is_hex ? push_hex(L, digest) : push_base64(L, slice_make(digest, sizeof digest));
}

struct raw_text {
  uint32_t tag; // LUA_VALUE_RAW
  size_t len;
  char at[];
};

// raw(text)
static int raw(lua_State *L) {
  struct slice text = text_argument(L, 1);
  if (text.len == 0) return luaL_error(L, "raw: the text is empty");
  struct raw_text *own = lua_newuserdata(L, sizeof *own + text.len);
  own->tag = LUA_VALUE_RAW;
  own->len = text.len;
  memcpy(own->at, text.at, text.len);
  return 1;
}

struct slice sink_primitives_raw(lua_State *L, int index) {
  if (lua_value_tag(L, index) != LUA_VALUE_RAW) return slice_make(NULL, 0);
  const struct raw_text *own = lua_touserdata(L, index);
  return slice_make(own->at, own->len);
}

int sink_primitives_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"base64", base64}, {"sha256", sha256}, {"hmac_sha256", hmac_sha256}, {"raw", raw}, {NULL, NULL}};
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_state_set_global(L, f->name);
  }
  return 0;
}
