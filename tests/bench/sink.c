// sink.c - one epoll loop, one read buffer for all connections, and answers formed beforehand.
//
// A record is known by the ICCID in it; a body is never parsed and never kept, but for the few bytes an ICCID
// may be cut at.
#include "sink.h"
#include "base/clock.h"
#include "base/mem.h"
#include "load.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  READ_BYTES = 256 << 10,
  CARRY_BYTES = 16 << 10, // the longest header the sink reads
  EVENTS = 64,
  PREFIX_BYTES = sizeof LOAD_ICCID - 1,
  ICCID_BYTES = PREFIX_BYTES + LOAD_SERIAL_DIGITS,
};

static const char answer_ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static const char answer_continue[] = "HTTP/1.1 100 Continue\r\n\r\n";

struct peer {
  int fd;
  bool in_body;
  uint64_t body_left;
  size_t carried; // bytes kept from the last read: a piece of a header, or the end of a piece of body
  char carry[CARRY_BYTES];
};

struct catcher {
  struct tally *tally;
  int listener, epoll;
  char buffer[CARRY_BYTES + READ_BYTES];
};

static uint64_t serial_at(const char *digits) {
  uint64_t serial = 0;
  for (int i = 0; i < LOAD_SERIAL_DIGITS; i++)
    serial = serial * 10 + (uint64_t)(digits[i] - '0');
  return serial - LOAD_SERIAL_FIRST;
}

static void count_records(struct catcher *r, const char *at, size_t len) {
  uint64_t now_ns = clock_mono_ns();
  const char *end = at + len;
  while ((at = memmem(at, (size_t)(end - at), LOAD_ICCID, PREFIX_BYTES)) && at + ICCID_BYTES <= end) {
    tally_arrived(r->tally, serial_at(at + PREFIX_BYTES), now_ns);
    at += ICCID_BYTES;
  }
}

static bool say(struct peer *peer, const char *text) {
  return send(peer->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static void add(atomic_uint_least64_t *counter, uint64_t more) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                        memory_order_relaxed);
}

// A header that is whole: how long is its body? Only Content-Length is understood. False: not, or the peer is
// gone.
static bool header_take(struct peer *peer, char *at, size_t len) {
  at[len - 1] = '\0';
  const char *length = strcasestr(at, "\r\ncontent-length:");
  if (!length) return false;
  peer->in_body = true;
  peer->body_left = strtoull(length + strlen("\r\ncontent-length:"), NULL, 10);
  return !strcasestr(at, "\r\nexpect:") || say(peer, answer_continue);
}

// Handles what it can of len bytes; *used: how many. False: the connection can't go on.
static bool consume(struct catcher *r, struct peer *peer, char *at, size_t len, size_t *used) {
  *used = 0;
  if (!peer->in_body) {
    char *end = memmem(at, len, "\r\n\r\n", 4);
    if (!end) return len < CARRY_BYTES;
    *used = (size_t)(end - at) + 4;
    return header_take(peer, at, *used);
  }
  bool whole = len >= peer->body_left;
  size_t piece = whole ? peer->body_left : len;
  if (!whole && piece < ICCID_BYTES) return true;
  count_records(r, at, piece);
  // An ICCID that ends just here has been counted; one that is cut has its beginning within these last bytes.
  *used = whole ? piece : piece - (ICCID_BYTES - 1);
  peer->body_left -= *used;
  if (!whole) return true;
  add(&r->tally->requests, 1);
  peer->in_body = false;
  return say(peer, answer_ok);
}

static bool peer_read(struct catcher *r, struct peer *peer) {
  memcpy(r->buffer, peer->carry, peer->carried);
  ssize_t got = recv(peer->fd, r->buffer + peer->carried, READ_BYTES, 0);
  if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
  add(&r->tally->bytes, (uint64_t)got);
  size_t at = 0, len = peer->carried + (size_t)got, used;
  do {
    if (!consume(r, peer, r->buffer + at, len - at, &used)) return false;
    at += used;
  } while (used > 0 && (at < len || (peer->in_body && peer->body_left == 0)));
  peer->carried = len - at;
  if (peer->carried > CARRY_BYTES) return false;
  memcpy(peer->carry, r->buffer + at, peer->carried);
  return true;
}

static void peer_free(struct peer *peer) {
  close(peer->fd);
  mem_free(peer);
}

static void accept_all(struct catcher *r) {
  int fd, on = 1;
  while ((fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct peer *peer = mem_zero(1, sizeof *peer);
    if (!peer) {
      close(fd);
      continue;
    }
    peer->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) != 0) peer_free(peer);
  }
}

static void serve(struct catcher *r) {
  struct epoll_event events[EVENTS], listening = {.events = EPOLLIN, .data.ptr = NULL};
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->listener, &listening);
  for (;;) {
    int count = epoll_wait(r->epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct peer *peer = events[i].data.ptr;
      if (!peer)
        accept_all(r);
      else if (!peer_read(r, peer))
        peer_free(peer);
    }
  }
}

static _Noreturn void sink_main(int listener, struct tally *tally) {
  struct rlimit files;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGINT, SIG_IGN); // Ctrl-C reaches the whole group; the bench ends its children itself
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  struct catcher *r = mem_must(mem_zero(1, sizeof *r));
  r->tally = tally;
  r->listener = listener;
  serve(r);
  _exit(1);
}

static int listen_anywhere(int *port, struct err *err) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, SOMAXCONN) == 0 &&
            getsockname(fd, (struct sockaddr *)&address, &len) == 0;
  if (!ok) {
    err_set_errno(err, "the sink cannot listen");
    if (fd >= 0) close(fd);
    return -1;
  }
  *port = ntohs(address.sin_port);
  return fd;
}

bool sink_process_start(struct sink_process *sink, struct tally *tally, struct err *err) {
  int listener = listen_anywhere(&sink->port, err);
  if (listener < 0) return false;
  sink->pid = fork();
  if (sink->pid == 0) sink_main(listener, tally);
  close(listener);
  return sink->pid > 0 || err_set_errno(err, "cannot start the sink");
}

void sink_process_stop(struct sink_process *sink) {
  if (sink->pid <= 0) return;
  kill(sink->pid, SIGKILL);
  waitpid(sink->pid, NULL, 0);
  sink->pid = 0;
}
