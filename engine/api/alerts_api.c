// alerts_api.c - GET /api/v1/alerts: the newest alerts first, read backwards from the journal block by block.
//
// A call looks at so many blocks and alerts only; a page that ends early for it may have fewer items than `limit`, or none, and
// `next` goes on from there.
#include "api/app.h"
#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 64 << 20, LIST_FETCHES = 64, LIST_LOOKS = 10000 };

struct listing { // one request
  struct journal_fetch fetch; // first
  struct app *app;
  struct http_request *request;
  struct buf text;
  size_t limit, count;
  uint64_t below; // all alerts from here on have been looked at
  unsigned fetches, looks;
  char stream[DEFINITION_ID_BYTES]; // empty: any
  bool ok;
};

static void answer(struct listing *l) {
  bool more = l->below > journal_first(l->app->journal);
  char next[32] = "null";
  if (more) snprintf(next, sizeof next, "\"%" PRIu64 "\"", l->below);
  l->ok = l->ok && buf_printf(&l->text, "],\"next\":%s}", next);
  if (l->ok) http_answer(l->request, 200, "application/json", buf_slice(&l->text));
  else http_answer_problem(l->request, 503, "out of memory: ask for fewer with ?limit=, or try again");
  buf_fini(&l->text);
  mem_free(l);
}

// Whether the alert is of the stream that is asked for.
static bool wanted(struct listing *l, struct slice alert) {
  struct json_fault fault;
  struct json_tape *tape = &l->app->tape;
  if (!l->stream[0]) return true;
  l->ok = json_tape_parse(tape, alert, &fault);
  if (!l->ok) return false;
  uint32_t stream = json_find(tape, 0, slice_of("stream_id"));
  return stream != JSON_NONE && slice_is(json_inner(tape, stream), l->stream);
}

// No more of this page: it is full, or so much was looked at that the rest is for the next.
static bool is_over(const struct listing *l) {
  return !l->ok || l->count == l->limit || l->looks == LIST_LOOKS || l->text.len > LIST_BYTES / 2;
}

static void take(struct listing *l, const struct journal_block *block, const struct record_header *row) {
  struct slice alert = journal_block_record(block, row);
  l->below = row->sequence;
  l->looks++;
  if (!wanted(l, alert)) return;
  l->ok = (!l->count || buf_append_byte(&l->text, ',')) && buf_append(&l->text, alert.at, alert.len);
  l->count++;
}

static void take_block(struct listing *l, const struct journal_block *block) {
  uint64_t from = l->below;
  int64_t organisation = l->fetch.organisation;
  for (uint32_t i = block->count; i-- > 0 && !is_over(l);) {
    const struct record_header *row = &block->rows[block->by_sequence[i]];
    bool ours = organisation == JOURNAL_ALL || row->organisation == organisation;
    if (row->kind == RECORD_ALERT && row->sequence < from && ours) take(l, block, row);
  }
}

static void fetched(struct journal_fetch *fetch);

static void go_on(struct listing *l) {
  l->fetches++;
  l->fetch.sequence = l->below;
  l->fetch.done = fetched;
  journal_fetch(l->app->journal, &l->fetch);
}

static void fetched(struct journal_fetch *fetch) {
  struct listing *l = (struct listing *)fetch;
  if (fetch->block) take_block(l, fetch->block);
  journal_block_unref(fetch->block);
  if (!is_over(l)) l->below = fetch->next;
  if (is_over(l) || l->below <= journal_first(l->app->journal) || l->fetches == LIST_FETCHES) answer(l);
  else go_on(l);
}

static bool read_number(const char *text, char **end, int64_t *out) {
  errno = 0;
  *out = strtoll(text, end, 10);
  return *end != text && !**end && !errno && text[0] != ' ' && text[0] != '+';
}

// ?after=, ?organisation_id= and ?stream=; false after a 400 answer.
static bool read_query(struct listing *l, const struct page *page) {
  char text[128], *end;
  int64_t number = INT64_MAX;
  if (page->after[0] && (!read_number(page->after, &end, &number) || number < 0)) {
    http_answer_problem(l->request, 400, "'after' must be the 'next' of the page before");
    return false;
  }
  l->below = (uint64_t)number;
  number = JOURNAL_ALL;
  if (http_request_query(l->request, "organisation_id", text, sizeof text) &&
      (!read_number(text, &end, &number) || number == JOURNAL_ALL)) {
    http_answer_problem(l->request, 400, "'organisation_id' must be an organisation's id");
    return false;
  }
  l->fetch.organisation = number;
  if (!http_request_query(l->request, "stream", text, sizeof text)) return true;
  if (snprintf(l->stream, sizeof l->stream, "%s", text) < (int)sizeof l->stream && text[0]) return true;
  http_answer_problem(l->request, 400, "'stream' must be a stream's id");
  return false;
}

void alerts_list(struct route_call *call) {
  struct page page;
  if (!request_page(call->request, &page)) return;
  struct listing *l = mem_zero(1, sizeof *l);
  if (!l) {
    http_answer_problem(call->request, 503, "out of memory: try again");
    return;
  }
  *l = (struct listing){.fetch = {.loop = call->app->loop, .back = true, .kinds = 1u << RECORD_ALERT}, .app = call->app,
                        .request = call->request, .limit = page.limit};
  buf_init(&l->text, LIST_BYTES);
  l->ok = buf_append_text(&l->text, "{\"items\":[");
  if (!read_query(l, &page)) {
    buf_fini(&l->text);
    mem_free(l);
    return;
  }
  go_on(l);
}
