// lua_memory.h - the memory of one Lua state: counted, capped, and quick for the small values that come and
// go with each record.
//
// Blocks up to 256 bytes are cut from chunks and kept in a list a size when they are free; the chunks go with
// the state.
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { LUA_MEMORY_SMALL = 256, LUA_MEMORY_STEP = 16 };

struct lua_memory {
  size_t used_bytes; // taken from the system
  size_t max_bytes;  // 0: not capped
  bool refused;      // an allocation failed, by the cap or for want of memory
  struct lua_memory_block *chunks;
  struct lua_memory_block *free[LUA_MEMORY_SMALL / LUA_MEMORY_STEP];
  char *rest; // of the newest chunk
  size_t rest_bytes;
};

// What Lua's allocator does: size 0 frees, at NULL allocates, else the block becomes `size` bytes long.
void *lua_memory_change(struct lua_memory *m, void *at, size_t old, size_t size);
void lua_memory_fini(struct lua_memory *m); // after lua_close; takes zeroed
