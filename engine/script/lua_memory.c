#include "script/lua_memory.h"
#include "base/mem.h"

#include <string.h>

enum { CHUNK_BYTES = 4096 };

struct lua_memory_block {
  struct lua_memory_block *next;
};

static size_t class_of(size_t size) {
  return (size - 1) / LUA_MEMORY_STEP;
}

static bool allowed(struct lua_memory *m, size_t old, size_t size) {
  if (!m->max_bytes || size <= old ||
      (m->used_bytes <= m->max_bytes && size - old <= m->max_bytes - m->used_bytes))
    return true;
  m->refused = true;
  return false;
}

static __attribute__((noinline)) void *change_large(struct lua_memory *m, void *at, size_t old, size_t size) {
  void *moved = allowed(m, old, size) ? mem_grow(at, size) : NULL;
  if (moved)
    m->used_bytes = m->used_bytes - old + size;
  else
    m->refused = true;
  return moved;
}

static void put_back(struct lua_memory *m, void *at, size_t size) {
  struct lua_memory_block *block = at, **list = &m->free[class_of(size)];
  block->next = *list;
  *list = block;
}

static bool add_chunk(struct lua_memory *m) {
  struct lua_memory_block *chunk = change_large(m, NULL, 0, CHUNK_BYTES);
  if (!chunk) return false;
  if (m->rest_bytes) put_back(m, m->rest, m->rest_bytes);
  chunk->next = m->chunks;
  m->chunks = chunk;
  m->rest = (char *)chunk + LUA_MEMORY_STEP;
  m->rest_bytes = CHUNK_BYTES - LUA_MEMORY_STEP;
  return true;
}

static __attribute__((noinline)) void *cut(struct lua_memory *m, size_t size) {
  size = (size + LUA_MEMORY_STEP - 1) / LUA_MEMORY_STEP * LUA_MEMORY_STEP;
  if (m->rest_bytes < size && !add_chunk(m)) return NULL;
  void *at = m->rest;
  m->rest += size;
  m->rest_bytes -= size;
  return at;
}

static void *take_small(struct lua_memory *m, size_t size) {
  struct lua_memory_block *block = m->free[class_of(size)];
  if (!block) return cut(m, size);
  m->free[class_of(size)] = block->next;
  return block;
}

static void give_back(struct lua_memory *m, void *at, size_t size) {
  if (size <= LUA_MEMORY_SMALL) {
    put_back(m, at, size);
  } else {
    mem_free(at);
    m->used_bytes -= size;
  }
}

static void *take(struct lua_memory *m, size_t size) {
  return size <= LUA_MEMORY_SMALL ? take_small(m, size) : change_large(m, NULL, 0, size);
}

static __attribute__((noinline)) void *resize(struct lua_memory *m, void *at, size_t old, size_t size) {
  if (size > LUA_MEMORY_SMALL && old > LUA_MEMORY_SMALL) return change_large(m, at, old, size);
  if (size <= LUA_MEMORY_SMALL && old <= LUA_MEMORY_SMALL && class_of(size) == class_of(old)) return at;
  void *moved = take(m, size);
  if (!moved) return NULL;
  memcpy(moved, at, old < size ? old : size);
  give_back(m, at, old);
  return moved;
}

void *lua_memory_change(struct lua_memory *m, void *at, size_t old, size_t size) {
  if (!at || !old) return size ? take(m, size) : NULL;
  if (size) return resize(m, at, old, size);
  give_back(m, at, old);
  return NULL;
}

void lua_memory_fini(struct lua_memory *m) {
  for (struct lua_memory_block *chunk = m->chunks, *next; chunk; chunk = next) {
    next = chunk->next;
    mem_free(chunk);
  }
  *m = (struct lua_memory){0};
}
