// sink_primitives.c - digests by OpenSSL, given as text: Lua has no use for their bytes.
#include "script/sink_primitives.h"
#include "script/lua_state.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>

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
  char text[2 * SHA256_DIGEST_LENGTH + 1];
  for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
    snprintf(text + 2 * i, 3, "%02x", digest[i]);
  lua_pushlstring(L, text, sizeof text - 1);
  return 1;
}

// base64(text)
static int base64(lua_State *L) {
  return push_base64(L, text_argument(L, 1));
}

// sha256(text): hex
static int sha256(lua_State *L) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  struct slice text = text_argument(L, 1);
  SHA256((const unsigned char *)text.at, text.len, digest);
  return push_hex(L, digest);
}

// hmac_sha256(key, text [, "hex" | "base64"])
static int hmac_sha256(lua_State *L) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  struct slice key = text_argument(L, 1), text = text_argument(L, 2);
  static const char *const forms[] = {"hex", "base64", NULL};
  bool is_hex = luaL_checkoption(L, 3, "hex", forms) == 0;
  if (!HMAC(EVP_sha256(), key.at, (int)key.len, (const unsigned char *)text.at, text.len, digest, NULL))
    return luaL_error(L, "hmac_sha256: failed");
  return is_hex ? push_hex(L, digest) : push_base64(L, slice_make(digest, sizeof digest));
}

void sink_primitives_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"base64", base64}, {"sha256", sha256}, {"hmac_sha256", hmac_sha256}, {NULL, NULL}};
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_state_set_global(L, f->name);
  }
}
