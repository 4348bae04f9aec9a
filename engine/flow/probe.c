#include "flow/probe.h"
#include "base/clock.h"
#include "flow/courier_parts.h"
#include "flow/verdict.h"

#include <stdio.h>

static void told(struct loop_task *task) {
  struct probe *p = (struct probe *)((char *)task - offsetof(struct probe, task));
  p->done(p);
}

static void end(struct probe *p, enum probe_end how) {
  if (list_linked(&p->link)) {
    list_remove(&p->link);
    p->courier->probing--;
  }
  sink_unbind(p->binding);
  p->binding = NULL;
  outgoing_fini(&p->out);
  p->end = how;
  p->task.run = told;
  loop_post(p->reply, &p->task);
}

static void say(struct probe *p, enum probe_end how, const char *words) {
  snprintf(p->words, sizeof p->words, "%.*s", PROBE_WORDS_BYTES - 1, words);
  end(p, how);
}

// ---- the answer ----

// What to look at; "" where nothing can be said.
static const char *hint(const struct http_response *r) {
  if (r->outcome == HTTP_REFUSED) return ": the egress policy does not allow this address";
  if (r->outcome == HTTP_TRANSPORT) return ": look at the URL, and at what stands between here and there";
  switch (r->status) {
  case 401: return ": the destination does not take these credentials";
  case 403: return ": the destination knows these credentials or this network, and does not let them in";
  case 404: case 410: return ": nothing is at this URL";
  case 405: return ": the destination does not take this method";
  case 415: return ": the destination does not take this content type";
  }
  if (r->status >= 300 && r->status < 400) return ": a redirect, which is not followed: use the URL it leads to";
  if (r->status >= 500 || r->status == 429) return ": the destination is there and takes no records now";
  return r->status >= 400 ? ": the destination is there and does not take what was sent" : "";
}

// The sink's own words where it has any; else the engine's with a hint.
static void judge(struct probe *p, const struct http_response *r) {
  struct sink_batch none = {.id = "probe", .kind = "mixed", .attempt = 1, .now_ms = clock_ms()};
  struct sink_verdict verdict = {0};
  struct err err = {0};
  char words[256];
  bool own = sink_verdict(p->binding, &none, r, &verdict, &err);
  if (!own || verdict.each) verdict.kind = SINK_DEFAULT; // a verdict on records, of which there are none
  bool said = verdict.kind != SINK_DEFAULT && verdict.kind != SINK_AGAIN && verdict.why[0];
  if (!said) verdict_default(r, &verdict);
  verdict_words(r, words, sizeof words);
  p->status = r->outcome == HTTP_ANSWERED ? r->status : 0;
  p->took_ms = r->took_us / 1000;
  if (verdict.kind == SINK_DELIVERED) snprintf(p->words, sizeof p->words, "%s: the settings work", words);
  else if (said) snprintf(p->words, sizeof p->words, "%s (%s)", verdict.why, words);
  else snprintf(p->words, sizeof p->words, "%s%s", words, hint(r));
  end(p, verdict.kind == SINK_DELIVERED ? PROBE_WORKS : PROBE_FAILS);
}

static void answered(struct http_send *send, const struct http_response *response) {
  judge((struct probe *)((char *)send - offsetof(struct probe, out.send)), response);
}

// ---- the request ----

static enum outgoing_made make(struct probe *p, struct err *err) {
  struct sink_request request = {0};
  if (!sink_probe(p->binding, &request, err)) return request.passing ? OUTGOING_SHORT : OUTGOING_WRONG;
  if (request.timeout_ms > PROBE_TIMEOUT_MS) request.timeout_ms = PROBE_TIMEOUT_MS;
  return outgoing_make(&p->out, &request, "probe", slice_of(""), err);
}

static void start(struct loop_task *task) {
  struct probe *p = (struct probe *)((char *)task - offsetof(struct probe, task));
  struct courier *c = p->courier;
  struct err err = {0};
  outgoing_init(&p->out);
  bool missing = !p->definition->sink->has_probe;
  if (missing || c->probing >= LIMIT_PROBES || c->draining) {
    say(p, missing ? PROBE_MISSING : PROBE_BUSY,
        missing ? "this sink has no probe, so its settings can't be tried without a record" : "too many tests are under way: try again");
    return;
  }
  list_push_back(&c->probes, &p->link);
  c->probing++;
  p->binding = sink_bind(c->runner, p->definition->sink, p->definition->settings, &err);
  enum outgoing_made made = p->binding ? make(p, &err) : OUTGOING_SHORT;
  p->out.send.done = answered;
  if (made == OUTGOING_MADE && http_client_send(c->http, &p->out.send, &err)) return;
  say(p, made == OUTGOING_SHORT ? PROBE_BUSY : PROBE_FAILS, err.text);
}

void probe_begin(struct courier *courier, struct probe *p) {
  p->courier = courier;
  p->task.run = start;
  loop_post(courier->loop, &p->task);
}

void probes_end(struct courier *c) {
  struct list *link;
  while ((link = list_first(&c->probes))) {
    struct probe *p = list_item(link, struct probe, link);
    http_client_cancel(c->http, &p->out.send);
    say(p, PROBE_BUSY, "the engine is being stopped");
  }
}
