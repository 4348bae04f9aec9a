#include "net/http_guard.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/http_head.h"
#include "net/http_problem.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

enum phase {
  UNUSED,
  WAITING,   // for a request, or for the rest of one
  HANDLED,   // the handler has the request; no clock
  ANSWERING, // the answer is being written
  REFUSED,   // told why; what it still sends is dropped
  PHASES
};

enum {
  BUFFEREVENT_READ_BYTES = 4096, // libevent 2.1's EVBUFFER_MAX_READ
  READ_ON_BYTES = 64 << 10,
  WAKE_SHARE = 512, // of what all bodies may take: the part of a body that may wait in the kernel, to be read at one go
  READ_ON_MOST = 8 * READ_ON_BYTES, // at a time, so that the other connections have their turn
  REFUSAL_BYTES = 2048,  // a refusal with its head
  ACCEPT_AGAIN_MS = 1000 // after an accept has failed
};

struct http_guarded {
  struct list link; // in guard->phases[phase], the nearest deadline first
  struct list todo; // in guard->todo: to be adopted, or evhttp's own error page to be replaced
  struct http_guard *guard;
  struct bufferevent *bev; // with a reference of ours, so that it can be asked after evhttp has freed it
  enum phase phase;
  bool reading_on; // inside read_on
  bool adopted;
  int refuse;           // status to refuse with once that is possible; 0: none
  uint64_t deadline_ms; // of the phase
  size_t receiving;     // bytes that have come for the request under way, and for those behind it
  size_t expected;      // bytes of the request under way, as its head says; 0: not known
  size_t reserved;      // bytes of room made for it ahead
  int wake_bytes;       // what must have come before the kernel says so, when more than one
  size_t handling;      // bytes of the request that is with its handler
  size_t dropped;       // bytes since it was refused
  struct {
    bufferevent_data_cb read, write;
    bufferevent_event_cb event;
    void *arg;
  } evhttp; // its callbacks, while refused
};

struct http_guard {
  struct loop *loop;
  struct evconnlistener *listener;
  struct http_guard_limits limits;
  size_t max_request; // bytes of one request with its head and the framing of its chunks
  size_t held;        // receiving and handling of all
  size_t reserved;    // of all
  unsigned open;
  bool draining;
  struct list phases[PHASES], todo;
  struct event *soon; // runs what `todo` holds, in this same turn of the loop
  struct loop_timer timer;
  uint64_t timer_ms; // when it fires; 0: it doesn't
  struct map by_bev;
  struct http_guarded *slots;
};

static uint64_t bev_key(const struct bufferevent *bev) {
  return (uint64_t)(uintptr_t)bev;
}

// The deadlines

static void arm(struct http_guard *g, uint64_t deadline_ms, uint64_t now_ms) {
  if (g->timer_ms && g->timer_ms <= deadline_ms) return;
  g->timer_ms = deadline_ms;
  loop_timer_start(g->loop, &g->timer, deadline_ms > now_ms ? (deadline_ms - now_ms) * 1000 : 0);
}

// How much must have come before this connection is looked at.
static void wake_at(struct http_guarded *c, int bytes) {
  if (c->wake_bytes == bytes) return;
  if (!setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes)) c->wake_bytes = bytes;
}

// The request that was received is whole, or dropped.
static void forget_expected(struct http_guarded *c, bool open) {
  c->guard->reserved -= c->reserved;
  c->expected = c->reserved = 0;
  if (open) wake_at(c, 1);
}

// The only place where a connection changes its phase. Each phase lasts the same for all, so its list is in
// order of deadlines.
static void enter(struct http_guarded *c, enum phase phase) {
  struct http_guard *g = c->guard;
  if (phase != WAITING) forget_expected(c, phase != UNUSED);
  list_remove(&c->link);
  list_push_back(&g->phases[phase], &c->link);
  c->phase = phase;
  if (phase == UNUSED || phase == HANDLED) return;
  uint64_t now_ms = clock_mono_ms();
  c->deadline_ms = now_ms + (phase == REFUSED ? g->limits.linger_ms : g->limits.request_ms);
  arm(g, c->deadline_ms, now_ms);
}

// Hands the connection back to evhttp as if it had broken; evhttp frees it and calls `closed`.
static void close_now(struct http_guarded *c) {
  if (c->phase == REFUSED)
    bufferevent_setcb(c->bev, c->evhttp.read, c->evhttp.write, c->evhttp.event, c->evhttp.arg);
  bufferevent_trigger_event(c->bev, BEV_EVENT_READING | BEV_EVENT_ERROR, 0);
}

// Refusing

static void refusal_written(struct bufferevent *bev, void *arg) {
  (void)arg;
  shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void refused_event(struct bufferevent *bev, short what, void *arg) {
  (void)bev;
  if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) close_now(arg);
}

static void drop_input(struct http_guarded *c) {
  struct evbuffer *input = bufferevent_get_input(c->bev);
  c->dropped += evbuffer_get_length(input);
  evbuffer_drain(input, evbuffer_get_length(input));
  // Freeing it is not for here: this runs inside its reading.
  if (c->dropped > c->guard->limits.max_body) bufferevent_disable(c->bev, EV_READ);
}

static void take_over(struct http_guarded *c) {
  bufferevent_getcb(c->bev, &c->evhttp.read, &c->evhttp.write, &c->evhttp.event, &c->evhttp.arg);
  // No callback for reading: evhttp may have one pending that would come here with an argument of its own.
  bufferevent_setcb(c->bev, NULL, refusal_written, refused_event, c);
}

static const char *refusal_detail(const struct http_guarded *c, int status, char *out, size_t room) {
  const struct http_guard_limits *limits = &c->guard->limits;
  switch (status) {
  case 400:
    return "the request line, a header or a chunk of the body is malformed";
  case 408:
    snprintf(out, room, "the request was not whole within %u ms; send it faster or in smaller parts",
             limits->request_ms);
    return out;
  case 413:
    snprintf(out, room, HTTP_GUARD_TOO_LONG, limits->max_body);
    return out;
  case 417:
    return "of the Expect header, only 100-continue is understood";
  case 431:
    snprintf(out, room, "the request line and headers are longer than %d bytes", LIMIT_HEADERS_BYTES);
    return out;
  case 503:
    return "too many connections or request bodies at once; try again a little later";
  default:
    return "this method is not known; use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS";
  }
}

static bool write_refusal(const struct http_guarded *c, int status, struct evbuffer *output) {
  char text[256];
  struct buf body;
  buf_init(&body, REFUSAL_BYTES);
  bool ok = http_problem_write(&body, status, refusal_detail(c, status, text, sizeof text)) &&
            evbuffer_add_printf(output,
                                "HTTP/1.1 %d %s\r\nContent-Type: " HTTP_PROBLEM_TYPE
                                "\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
                                status, http_status_title(status), body.len,
                                status == 503 ? "Retry-After: 1\r\n" : "") > 0 &&
            evbuffer_add(output, body.at, body.len) == 0;
  buf_fini(&body);
  return ok;
}

static void refuse(struct http_guarded *c, int status) {
  struct evbuffer *output = bufferevent_get_output(c->bev);
  assert(c->phase == WAITING);
  take_over(c);
  enter(c, REFUSED);
  c->guard->held -= c->receiving;
  c->receiving = 0;
  drop_input(c);
  if (!write_refusal(c, status, output)) shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
  bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

// Without this the kernel would go on for minutes offering what the client does not take.
static void reset_at_close(struct http_guarded *c) {
  setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
             sizeof(struct linger));
}

static void expire(struct http_guarded *c) {
  if (c->phase == WAITING && c->receiving > 0) {
    refuse(c, 408);
    return;
  }
  if (c->phase == ANSWERING) reset_at_close(c);
  close_now(c);
}

// What evhttp's buffers tell

static void soon(struct http_guarded *c) {
  if (list_linked(&c->todo)) return;
  list_push_back(&c->guard->todo, &c->todo);
  event_active(c->guard->soon, EV_TIMEOUT, 0);
}

// How long the request is going to be, by its head. False: too long. What does not say so is found out when it has come.
static bool expect(struct http_guarded *c, struct evbuffer *input) {
  struct evbuffer_iovec head;
  if (evbuffer_peek(input, -1, NULL, &head, 1) != 1) return true;
  size_t body, bytes = http_head_request_bytes(head.iov_base, head.iov_len, &body);
  if (body > c->guard->limits.max_body) return false;
  c->expected = bytes;
  return true;
}

// Room for the rest of the request in one piece: so its body need not be copied to get there. What is only promised takes
// address space, not memory; of that, too, there is no more than of bodies.
static void make_room(struct http_guarded *c, struct evbuffer *input) {
  struct http_guard *g = c->guard;
  if (c->expected <= c->receiving || c->reserved) return;
  if (g->reserved + c->expected > g->limits.bodies_bytes) return;
  if (evbuffer_expand(input, c->expected - c->receiving)) return;
  c->reserved = c->expected;
  g->reserved += c->reserved;
}

// Of a long body, nobody needs to know of every packet.
static void wake_when_worth_it(struct http_guarded *c) {
  if (!c->reserved || c->expected <= c->receiving) return;
  size_t left = c->expected - c->receiving, most = c->guard->limits.bodies_bytes / WAKE_SHARE;
  wake_at(c, (int)(left < most ? left : most));
}

static size_t bytes_to_read(const struct http_guarded *c, size_t most) {
  if (!c->reserved) return READ_ON_BYTES;
  size_t left = c->expected > c->receiving ? c->expected - c->receiving : 0;
  return left < most ? left : most;
}

// A bufferevent reads 4 KB a system call. When so much has come, what else is there is read at one go; this runs inside the
// bufferevent's reading, where the buffer takes it. The end of the stream and errors are left for its next read.
static void read_on(struct http_guarded *c, struct evbuffer *input) {
  struct evbuffer_iovec room;
  size_t most = READ_ON_MOST, want;
  c->reading_on = true;
  make_room(c, input);
  while (c->phase == WAITING && (want = bytes_to_read(c, most)) > 0 && want <= most) {
    if (evbuffer_reserve_space(input, (ev_ssize_t)want, &room, 1) != 1) break;
    ssize_t n = recv(bufferevent_getfd(c->bev), room.iov_base, want, MSG_DONTWAIT);
    room.iov_len = n > 0 ? (size_t)n : 0;
    if (n <= 0 || evbuffer_commit_space(input, &room, 1) || room.iov_len < want) break;
    most -= want;
  }
  c->reading_on = false;
}

static void input_changed(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg) {
  struct http_guarded *c = arg;
  struct http_guard *g = c->guard;
  if (!info->n_added) return;
  if (c->phase == REFUSED) {
    drop_input(c);
    return;
  }
  c->receiving += info->n_added;
  g->held += info->n_added;
  bool begins = c->receiving == info->n_added;
  if (c->phase != WAITING) { // requests ahead of their turn; evhttp reads on after its answer
    if (c->receiving > LIMIT_HEADERS_BYTES) bufferevent_disable(c->bev, EV_READ);
  } else if ((begins && !expect(c, input)) || c->receiving > g->max_request) {
    refuse(c, 413);
  } else if (c->receiving > LIMIT_HEADERS_BYTES && g->held > g->limits.bodies_bytes) {
    refuse(c, 503);
  } else if (!c->reading_on) {
    if (info->n_added == BUFFEREVENT_READ_BYTES) read_on(c, input);
    if (c->phase == WAITING) wake_when_worth_it(c);
  }
}

// Before a handler has answered, evhttp writes either "100 Continue" or an error page of its own, in HTML.
// The page can't be replaced here, in the midst of its being written, but before this turn of the loop ends.
static void output_changed(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg) {
  struct http_guarded *c = arg;
  struct evbuffer_ptr at;
  struct evbuffer_iovec line; // printed at one go, so in one piece
  char head[16] = "";
  int status = 0;
  if (!info->n_added || c->phase != WAITING || c->refuse) return;
  if (evbuffer_ptr_set(output, &at, info->orig_size, EVBUFFER_PTR_SET)) return;
  if (evbuffer_peek(output, sizeof head - 1, &at, &line, 1) < 1) return;
  memcpy(head, line.iov_base, line.iov_len < sizeof head ? line.iov_len : sizeof head - 1);
  sscanf(head, "HTTP/%*d.%*d %d", &status);
  if (status == 100) return;
  if (status == 400 && c->receiving > LIMIT_HEADERS_BYTES) status = 431;
  if (status == 413) status = 400; // it is not given a bound of bodies, and says so of malformed chunks too
  c->refuse = status ? status : 501; // evhttp has no number for an unknown method
  soon(c);
}

static void replace_page(struct http_guarded *c) {
  struct evbuffer *output = bufferevent_get_output(c->bev);
  evbuffer_unfreeze(output, 1); // a bufferevent lets nobody else take from the front
  evbuffer_drain(output, evbuffer_get_length(output));
  evbuffer_freeze(output, 1);
  refuse(c, c->refuse);
}

// Coming and going

static void accept_more(struct http_guard *g) {
  if (!g->draining && !list_empty(&g->phases[UNUSED])) evconnlistener_enable(g->listener);
}

// No descriptor left, most likely. The sweep tries again.
static void accept_failed(struct evconnlistener *listener, void *arg) {
  (void)arg; // evhttp's
  log_warn("listener doing=accept error=\"%s\"", evutil_socket_error_to_string(errno));
  evconnlistener_disable(listener);
}

static void give_back(struct http_guarded *c) {
  struct http_guard *g = c->guard;
  evbuffer_remove_cb(bufferevent_get_input(c->bev), input_changed, c);
  evbuffer_remove_cb(bufferevent_get_output(c->bev), output_changed, c);
  map_remove(&g->by_bev, bev_key(c->bev));
  bufferevent_decref(c->bev);
  list_remove(&c->todo);
  g->held -= c->receiving + c->handling;
  g->open--;
  enter(c, UNUSED);
}

static void closed(struct evhttp_connection *evcon, void *arg) {
  (void)evcon;
  struct http_guarded *c = arg;
  struct http_guard *g = c->guard;
  give_back(c);
  accept_more(g);
}

static struct bufferevent *connection_new(struct event_base *base, void *arg) {
  struct http_guard *g = arg;
  struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
  if (!bev) return NULL;
  struct http_guarded *c = list_item(list_first(&g->phases[UNUSED]), struct http_guarded, link);
  struct list link = c->link;
  *c = (struct http_guarded){.link = link, .guard = g, .bev = bev, .wake_bytes = 1};
  bufferevent_incref(bev);
  g->open++;
  if (!map_put(&g->by_bev, bev_key(bev), c) || g->open > g->limits.connections) c->refuse = 503;
  evbuffer_add_cb(bufferevent_get_input(bev), input_changed, c);
  evbuffer_add_cb(bufferevent_get_output(bev), output_changed, c);
  enter(c, WAITING);
  soon(c);
  if (list_empty(&g->phases[UNUSED])) evconnlistener_disable(g->listener);
  return bev;
}

// evhttp makes its connection after it has got the bufferevent, and tells nobody but by the callbacks'
// argument.
static void adopt(struct http_guarded *c) {
  void *evcon;
  bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
  c->adopted = true;
  if (!evcon) { // it has given up on it
    give_back(c);
    return;
  }
  evhttp_connection_set_closecb(evcon, closed, c);
  setsockopt(bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (c->refuse) refuse(c, c->refuse);
}

static void run_todo(evutil_socket_t fd, short what, void *arg) {
  (void)fd, (void)what;
  struct http_guard *g = arg;
  for (struct list *link; (link = list_pop(&g->todo));) {
    struct http_guarded *c = list_item(link, struct http_guarded, todo);
    if (!c->adopted)
      adopt(c);
    else if (c->phase == WAITING)
      replace_page(c);
  }
}

static void sweep(struct loop_timer *timer) {
  struct http_guard *g = list_item(timer, struct http_guard, timer);
  uint64_t now_ms = clock_mono_ms();
  static const enum phase timed[] = {WAITING, ANSWERING, REFUSED};
  g->timer_ms = 0;
  arm(g, now_ms + ACCEPT_AGAIN_MS, now_ms);
  accept_more(g);
  for (size_t i = 0; i < sizeof timed / sizeof *timed; i++) {
    for (struct list *link; (link = list_first(&g->phases[timed[i]]));) {
      struct http_guarded *c = list_item(link, struct http_guarded, link);
      if (c->deadline_ms > now_ms) {
        arm(g, c->deadline_ms, now_ms);
        break;
      }
      expire(c);
    }
  }
}

// What the server tells

struct http_guarded *http_guard_find(struct http_guard *guard, struct bufferevent *bev) {
  return map_get(&guard->by_bev, bev_key(bev));
}

void http_guard_received(struct http_guarded *c) {
  size_t behind = evbuffer_get_length(bufferevent_get_input(c->bev));
  assert(c->phase == WAITING && behind <= c->receiving);
  c->handling = c->receiving - behind;
  c->receiving = behind;
  enter(c, HANDLED);
}

void http_guard_answers(struct http_guarded *c) {
  assert(c->phase == HANDLED);
  enter(c, ANSWERING);
}

void http_guard_answered(struct http_guarded *c) {
  c->guard->held -= c->handling;
  c->handling = 0;
  enter(c, WAITING);
}

void http_guard_drain(struct http_guard *g) {
  g->draining = true;
  evconnlistener_disable(g->listener);
  struct list *head = &g->phases[WAITING];
  for (struct list *link = head->next, *next; link != head; link = next) {
    struct http_guarded *c = list_item(link, struct http_guarded, link);
    next = link->next;
    if (c->adopted && !c->receiving) close_now(c);
  }
}

struct http_guard *http_guard_new(struct loop *loop, struct evhttp *http, struct evconnlistener *listener,
                                  const struct http_guard_limits *limits, struct err *err) {
  struct http_guard *g = mem_zero(1, sizeof *g);
  if (!g) goto fail;
  *g = (struct http_guard){.loop = loop, .listener = listener, .limits = *limits, .timer.run = sweep};
  g->max_request = limits->max_body + limits->max_body / 8 + LIMIT_HEADERS_BYTES + 65536;
  list_init(&g->todo);
  for (int i = 0; i < PHASES; i++)
    list_init(&g->phases[i]);
  size_t slots = limits->connections + LIMIT_REFUSED_CONNECTIONS;
  g->slots = mem_zero(slots, sizeof *g->slots);
  g->soon = event_new(loop_base(loop), -1, 0, run_todo, g);
  if (!g->slots || !g->soon) goto fail;
  for (size_t i = 0; i < slots; i++)
    list_push_back(&g->phases[UNUSED], &g->slots[i].link);
  arm(g, clock_mono_ms() + ACCEPT_AGAIN_MS, clock_mono_ms());
  evhttp_set_bevcb(http, connection_new, g);
  evconnlistener_set_error_cb(listener, accept_failed);
  return g;
fail:
  err_set(err, "out of memory");
  http_guard_free(g);
  return NULL;
}

void http_guard_free(struct http_guard *g) {
  if (!g) return;
  static const enum phase open[] = {WAITING, HANDLED, ANSWERING, REFUSED};
  for (size_t i = 0; i < sizeof open / sizeof *open; i++) // those that evhttp freed before they were adopted
    for (struct list *link; g->slots && (link = list_first(&g->phases[open[i]]));)
      give_back(list_item(link, struct http_guarded, link));
  loop_timer_fini(&g->timer);
  if (g->soon) event_free(g->soon);
  map_fini(&g->by_bev);
  mem_free(g->slots);
  mem_free(g);
}
