// source_scope.h - the blocks, brackets and locals that are open at a place in a source; source_warn's own.
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum source_role { SOURCE_PLAIN, SOURCE_RECORD, SOURCE_CONTEXT }; // what a local holds

struct source_local {
  struct slice name;
  enum source_role role;
};

enum source_block_kind {
  SOURCE_BLOCK,
  SOURCE_LOOP,         // a block whose `do` is still to come
  SOURCE_BRACKET,      // ( or [
  SOURCE_TABLE,        // {
  SOURCE_MODULE_TABLE, // that of the hooks
};

struct source_block {
  enum source_block_kind kind;
  size_t locals; // declared before it
};

enum { SOURCE_LOCALS = 1000, SOURCE_BLOCKS = 500 };

struct source_scope {
  struct source_local locals[SOURCE_LOCALS];
  struct source_block blocks[SOURCE_BLOCKS];
  size_t local_count, block_count;
  bool lost; // more than there is room for, or closed more than opened: nothing can be said any more
};

void source_scope_open(struct source_scope *scope, enum source_block_kind kind);
void source_scope_close(struct source_scope *scope);
// `until`: the locals of the block can be used in what follows, so they live as long as the block around it.
void source_scope_close_keeping(struct source_scope *scope);
enum source_block_kind source_scope_top(const struct source_scope *scope); // SOURCE_BLOCK outside of all
void source_scope_enter_loop(struct source_scope *scope);                  // its `do`
void source_scope_declare(struct source_scope *scope, struct slice name, enum source_role role);
struct source_local *source_scope_find(struct source_scope *scope, struct slice name); // NULL: no local
