// poster.c - non-blocking connections on one epoll loop; a small HTTP/1.1 client of its own, for libcurl
// would cost more than the engine.
#include "poster.h"
#include "base/mem.h"
#include "stop.h"
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  HEAD_BYTES = 512,
  ANSWER_BYTES = 64 << 10,
  TICK_MS = 20, // how often links that wait and the deadline are looked at
  SMALL_MOST = 4,
  SMALL_BODIES = 16, // small requests take turns, so that together they hold records of every kind
};

enum link_state { LINK_FREE, LINK_SENDING, LINK_ASKED, LINK_HELD_BACK };

struct link {
  int fd;
  enum link_state state;
  struct load_body *bodies[SMALL_BODIES];
  uint32_t body_count, body_turn;
  struct load_body *body; // the one that is out
  struct slice body_text;
  char head[HEAD_BYTES];
  size_t head_len, sent; // sent: of head and body together
  char answer[ANSWER_BYTES + 1];
  size_t answer_len;
  uint64_t again_ns; // LINK_HELD_BACK
};

struct poster {
  const struct posting *posting;
  struct posted *posted;
  struct link *links;
  int epoll, timer;
  uint32_t busy;   // links that are not free
  uint32_t turn;   // where the search for a free link begins
  uint64_t serial; // next
  bool was_short;  // a record came due while no link was free
};

static int connect_to(int port, struct err *err) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  err_set_errno(err, "cannot connect to the engine");
  if (fd >= 0) close(fd);
  return -1;
}

static void link_make_bodies(const struct posting *posting, struct link *link, uint32_t number) {
  struct load_mix mix = posting->mix;
  uint32_t records = posting->records_per_request;
  link->body_count = records ? 1 : SMALL_BODIES;
  for (uint32_t i = 0; i < link->body_count; i++) {
    mix.seed = posting->mix.seed + number * SMALL_BODIES + i;
    link->bodies[i] = load_body_new(&mix, records ? records : 1 + i % SMALL_MOST);
  }
}

static bool link_open(struct poster *p, struct link *link, uint32_t number, struct err *err) {
  const struct posting *posting = p->posting;
  link_make_bodies(posting, link, number);
  link->fd = connect_to(posting->port, err);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = link};
  return link->fd >= 0 &&
         (epoll_ctl(p->epoll, EPOLL_CTL_ADD, link->fd, &event) == 0 || err_set_errno(err, "epoll_ctl"));
}

// Sends on until all is out or the socket is full.
static bool link_flush(struct link *link, struct err *err) {
  size_t total = link->head_len + link->body_text.len;
  while (link->sent < total) {
    size_t head_left = link->sent < link->head_len ? link->head_len - link->sent : 0;
    size_t body_at = link->sent - (link->head_len - head_left);
    struct iovec pieces[2] = {
        {link->head + link->head_len - head_left, head_left},
        {(char *)(uintptr_t)link->body_text.at + body_at, link->body_text.len - body_at}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    ssize_t sent = sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return true;
    if (sent < 0 && errno != EINTR) return err_set_errno(err, "cannot send to the engine");
    if (sent > 0) link->sent += (size_t)sent;
  }
  link->state = LINK_ASKED;
  return true;
}

static bool link_send(struct link *link, struct err *err) {
  link->sent = link->answer_len = 0;
  link->state = LINK_SENDING;
  return link_flush(link, err);
}

// Takes the next serials and posts them; sent_ns is the time their latency counts from.
static bool link_post(struct poster *p, struct link *link, uint64_t sent_ns, struct err *err) {
  const struct posting *posting = p->posting;
  link->body = link->bodies[link->body_turn++ % link->body_count];
  uint32_t records = load_body_records(link->body);
  link->body_text = load_body_write(link->body, p->serial);
  link->head_len =
      (size_t)snprintf(link->head, HEAD_BYTES,
                       "POST /api/v1/records HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                       posting->port, posting->token, link->body_text.len);
  if (sent_ns == 0) sent_ns = clock_mono_ns();
  for (uint32_t i = 0; i < records; i++)
    posting->tally->sent_ns[p->serial + i] = sent_ns;
  p->serial += records;
  p->busy++;
  return link_send(link, err);
}

// A whole answer is there: what does it say?
static bool link_answered(struct poster *p, struct link *link, const char *body, struct err *err) {
  int status = atoi(link->answer + strlen("HTTP/1.1 "));
  if (status == 429 || status == 503) {
    const char *after = strcasestr(link->answer, "\r\nretry-after:");
    long seconds = after ? atol(after + strlen("\r\nretry-after:")) : 1;
    link->again_ns = clock_mono_ns() + (uint64_t)seconds * 1000000000u;
    link->state = LINK_HELD_BACK;
    p->posted->refusals++;
    return true;
  }
  uint32_t records = load_body_records(link->body);
  const char *accepted = strstr(body, "\"accepted\":");
  if (status != 200 || !accepted || strtoul(accepted + strlen("\"accepted\":"), NULL, 10) != records)
    return err_set(err, "the engine answered %" PRIu32 " records with %d: %.300s", records, status, body);
  p->posted->records += records;
  p->posted->kept += load_body_kept(link->body);
  p->posted->last_ns = clock_mono_ns();
  p->busy--;
  link->state = LINK_FREE;
  return true;
}

// Whether all of the answer is there; *body: where its body begins.
static bool answer_whole(struct link *link, const char **body) {
  link->answer[link->answer_len] = '\0';
  char *end = strstr(link->answer, "\r\n\r\n");
  if (!end) return false;
  const char *length = strcasestr(link->answer, "\r\ncontent-length:");
  size_t body_len = length && length < end ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
  *body = end + 4;
  return link->answer_len >= (size_t)(end + 4 - link->answer) + body_len;
}

static bool link_read(struct poster *p, struct link *link, struct err *err) {
  for (;;) {
    size_t room = ANSWER_BYTES - link->answer_len;
    ssize_t got = recv(link->fd, link->answer + link->answer_len, room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return true;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return err_set(err, "the engine closed the connection");
    link->answer_len += (size_t)got;
    const char *body;
    if (answer_whole(link, &body)) return link_answered(p, link, body, err);
    if (link->answer_len == ANSWER_BYTES) return err_set(err, "the engine's answer is too long");
  }
}

static struct link *free_link(struct poster *p) {
  for (uint32_t i = 0; i < p->posting->connections; i++) {
    struct link *link = &p->links[p->turn++ % p->posting->connections];
    if (link->state == LINK_FREE) return link;
  }
  return NULL;
}

static bool all_out(const struct poster *p) {
  return p->serial >= p->posting->records;
}

// When the record with the next serial is due, at the pace asked for.
static uint64_t due_ns(const struct poster *p) {
  return p->posted->first_ns + p->serial * 1000000000u / p->posting->records_per_s;
}

static bool post_paced(struct poster *p, struct err *err) {
  uint64_t due = 0;
  while (!all_out(p) && (due = due_ns(p)) <= clock_mono_ns()) {
    struct link *link = free_link(p);
    if (!link) {
      p->was_short = true;
      return true;
    }
    // What had to wait for a link is late by the engine's doing: its time counts from when it was due.
    if (!link_post(p, link, p->was_short ? due : 0, err)) return false;
    p->was_short = false;
  }
  struct itimerspec next = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
  timerfd_settime(p->timer, TFD_TIMER_ABSTIME, &next, NULL);
  return true;
}

static bool post_more(struct poster *p, struct err *err) {
  if (p->posting->records_per_s) return post_paced(p, err);
  struct link *link;
  while (!all_out(p) && (link = free_link(p)))
    if (!link_post(p, link, 0, err)) return false;
  return true;
}

static bool send_again(struct poster *p, struct err *err) {
  uint64_t now = clock_mono_ns();
  for (uint32_t i = 0; i < p->posting->connections; i++) {
    struct link *link = &p->links[i];
    if (link->state == LINK_HELD_BACK && link->again_ns <= now && !link_send(link, err)) return false;
  }
  return true;
}

static bool link_event(struct poster *p, struct link *link, uint32_t events, struct err *err) {
  if (events & EPOLLOUT && link->state == LINK_SENDING && !link_flush(link, err)) return false;
  return !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || link_read(p, link, err);
}

static bool run(struct poster *p, uint64_t deadline_ns, struct err *err) {
  struct epoll_event events[64];
  p->posted->first_ns = p->posted->last_ns = clock_mono_ns();
  for (;;) {
    if (!post_more(p, err) || !send_again(p, err)) return false;
    if (all_out(p) && p->busy == 0) return true;
    if (stop_due(deadline_ns)) return err_set(err, "not all records could be posted in time");
    int count = epoll_wait(p->epoll, events, 64, TICK_MS);
    for (int i = 0; i < count; i++) {
      struct link *link = events[i].data.ptr;
      uint64_t ticks;
      if (!link)
        (void)!read(p->timer, &ticks, sizeof ticks);
      else if (!link_event(p, link, events[i].events, err))
        return false;
    }
  }
}

static bool open_all(struct poster *p, struct err *err) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  p->epoll = epoll_create1(EPOLL_CLOEXEC);
  p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (p->epoll < 0 || p->timer < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->timer, &event) != 0)
    return err_set_errno(err, "epoll");
  for (uint32_t i = 0; i < p->posting->connections; i++)
    if (!link_open(p, &p->links[i], i, err)) return false;
  return true;
}

static void close_all(struct poster *p) {
  for (uint32_t i = 0; i < p->posting->connections; i++) {
    if (p->links[i].fd > 0) close(p->links[i].fd);
    for (uint32_t k = 0; k < SMALL_BODIES; k++)
      load_body_free(p->links[i].bodies[k]);
  }
  mem_free(p->links);
  if (p->epoll >= 0) close(p->epoll);
  if (p->timer >= 0) close(p->timer);
}

bool poster_run(const struct posting *posting, uint64_t deadline_ns, struct posted *posted, struct err *err) {
  struct poster p = {.posting = posting, .posted = posted, .epoll = -1, .timer = -1};
  *posted = (struct posted){0};
  p.links = mem_must(mem_zero(posting->connections, sizeof *p.links));
  bool ok = open_all(&p, err) && run(&p, deadline_ns, err);
  close_all(&p);
  return ok;
}
