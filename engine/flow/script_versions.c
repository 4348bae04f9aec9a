#include "flow/script_versions.h"

#include <string.h>

// The stream's id, a 0 byte, the version.
static struct slice make_key(char out[SCRIPT_VERSIONS_KEY_BYTES], const char *id, const char *version) {
  size_t id_len = strlen(id), version_len = strlen(version);
  memcpy(out, id, id_len + 1);
  memcpy(out + id_len + 1, version, version_len);
  return slice_make(out, id_len + 1 + version_len);
}

static struct slice next_key(struct script_versions *keys, const char *id, const char *version) {
  return make_key(keys->keys[keys->count++], id, version);
}

static bool names(const struct definition *d, struct slice version) {
  return d && (slice_is(version, d->script_version) || slice_is(version, d->good_version));
}

struct sweep {
  struct script_versions *keys;
  const struct definition *old, *next;
  struct store_change *changes;
  size_t count;
};

static bool sweep_one(struct slice key, struct slice value, void *arg) {
  (void)value;
  struct sweep *sweep = arg;
  size_t head = strlen(sweep->next->id) + 1;
  struct slice version = slice_make(key.at + head, key.len - head);
  if (key.len >= SCRIPT_VERSIONS_KEY_BYTES || names(sweep->old, version) || names(sweep->next, version)) return true;
  char *copy = memcpy(sweep->keys->keys[sweep->keys->count++], key.at, key.len);
  sweep->changes[sweep->count++] = (struct store_change){.table = STORE_SCRIPTS, .key = slice_make(copy, key.len)};
  return sweep->keys->count < SCRIPT_VERSIONS_CHANGES; // more of them go with the next change
}

size_t script_versions_change(struct script_versions *keys, struct store *store, const struct definition *old,
                              const struct definition *next, struct store_change *changes) {
  struct sweep sweep = {.keys = keys, .old = old, .next = next, .changes = changes};
  keys->count = 0;
  if (old && strcmp(old->script_version, next->script_version) == 0) return 0;
  if (next->script_name && definition_script(next).len)
    changes[sweep.count++] = (struct store_change){.table = STORE_SCRIPTS, .key = next_key(keys, next->id, next->script_version),
                                                   .value = definition_script(next)};
  if (old && next->good_version[0] && strcmp(next->good_version, old->script_version) == 0)
    changes[sweep.count++] = (struct store_change){.table = STORE_SCRIPTS, .key = next_key(keys, next->id, next->good_version),
                                                   .value = definition_script(old)};
  if (old) store_each(store, STORE_SCRIPTS, slice_make(next->id, strlen(next->id) + 1), slice_of(""), sweep_one, &sweep);
  return sweep.count;
}

struct store_change script_versions_forget(struct script_versions *keys, const char *id) {
  keys->count = 0;
  return (struct store_change){.table = STORE_SCRIPTS, .key = next_key(keys, id, ""), .prefix = true};
}

char *script_versions_get(struct store *store, const char *id, const char *version, size_t *len) {
  char key[SCRIPT_VERSIONS_KEY_BYTES];
  if (!*version || strlen(version) >= DEFINITION_VERSION_BYTES) return NULL;
  return store_get(store, STORE_SCRIPTS, make_key(key, id, version), len);
}
