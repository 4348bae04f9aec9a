// dead_api.c - /api/v1/streams/ID/dead-letters: the records that were given up, with the reason.
#include "api/app.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 64 << 20, KEY_TAIL = 12 };

struct listing {
  struct buf text;
  size_t count, limit;
  bool more, ok;
  char last[64];
};

// A dead letter's id is its record's sequence, and ".N" for the Nth further output; its key ends with both, big-endian.
static size_t key_of(const char *stream, const char *id, char *key, size_t room) {
  char *end;
  size_t len = strlen(stream) + 1;
  uint64_t sequence = strtoull(id, &end, 10), number = *end == '.' ? strtoull(end + 1, NULL, 10) : 0;
  if (len + KEY_TAIL > room) return 0;
  memcpy(key, stream, len);
  for (size_t i = 0; i < 8; i++) key[len + i] = (char)(sequence >> (56 - 8 * i));
  for (size_t i = 0; i < 4; i++) key[len + 8 + i] = (char)(number >> (24 - 8 * i));
  return len + KEY_TAIL;
}

static bool add(struct slice key, struct slice value, void *arg) {
  struct listing *list = arg;
  (void)key;
  if (list->count == list->limit || list->text.len + value.len > LIST_BYTES / 2) {
    list->more = true;
    return false;
  }
  list->ok = list->ok && (!list->count || buf_append_byte(&list->text, ',')) && buf_append(&list->text, value.at, value.len);
  const char *end = value.len > 8 ? memchr(value.at + 7, '"', value.len - 7) : NULL; // {"id":"...",
  size_t len = end ? (size_t)(end - (value.at + 7)) : 0;
  if (len < sizeof list->last) {
    memcpy(list->last, value.at + 7, len);
    list->last[len] = 0;
  }
  list->count++;
  return list->ok;
}

void dead_letters_list(struct route_call *call) {
  struct page page;
  if (!streams_find(call->app->streams, call->id)) {
    http_answer_problem(call->request, 404, "there is no stream '%.60s'", call->id);
    return;
  }
  if (!request_page(call->request, &page)) return;
  struct listing list = {.limit = page.limit, .ok = true};
  char after[STORE_KEY_BYTES];
  size_t after_len = page.after[0] ? key_of(call->id, page.after, after, sizeof after) : 0;
  buf_init(&list.text, LIST_BYTES);
  bool ok = buf_append_text(&list.text, "{\"items\":[") &&
            store_each(call->app->store, STORE_DEAD, slice_make(call->id, strlen(call->id) + 1), slice_make(after, after_len), add,
                       &list) &&
            list.ok && (list.more ? buf_printf(&list.text, "],\"next\":\"%s\"}", list.last) : buf_append_text(&list.text, "],\"next\":null}"));
  if (ok) http_answer(call->request, 200, "application/json", buf_slice(&list.text));
  else http_answer_problem(call->request, 503, "the dead letters can't be read now: ask for fewer with ?limit=, or try again");
  buf_fini(&list.text);
}
