#include "script/source_scope.h"

void source_scope_open(struct source_scope *scope, enum source_block_kind kind) {
  if (scope->block_count == SOURCE_BLOCKS)
    scope->lost = true;
  else
    scope->blocks[scope->block_count++] = (struct source_block){kind, scope->local_count};
}

void source_scope_close_keeping(struct source_scope *scope) {
  if (scope->block_count)
    scope->block_count--;
  else
    scope->lost = true;
}

void source_scope_close(struct source_scope *scope) {
  source_scope_close_keeping(scope);
  if (!scope->lost) scope->local_count = scope->blocks[scope->block_count].locals;
}

enum source_block_kind source_scope_top(const struct source_scope *scope) {
  return scope->block_count ? scope->blocks[scope->block_count - 1].kind : SOURCE_BLOCK;
}

void source_scope_enter_loop(struct source_scope *scope) {
  if (source_scope_top(scope) == SOURCE_LOOP) scope->blocks[scope->block_count - 1].kind = SOURCE_BLOCK;
}

void source_scope_declare(struct source_scope *scope, struct slice name, enum source_role role) {
  if (scope->local_count == SOURCE_LOCALS)
    scope->lost = true;
  else
    scope->locals[scope->local_count++] = (struct source_local){name, role};
}

struct source_local *source_scope_find(struct source_scope *scope, struct slice name) {
  for (size_t i = scope->local_count; i-- > 0;)
    if (slice_equal(scope->locals[i].name, name)) return &scope->locals[i];
  return NULL;
}
