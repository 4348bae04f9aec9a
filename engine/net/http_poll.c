#include "net/http_poll.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_AT_FIRST = 64 };

struct http_socket {
  struct event event;
  short registered; // EV_READ, EV_WRITE
  bool wanted;      // by curl, at present
  bool ours;        // opened here, so that we are told of its closing
};

static struct http_socket *find(const struct http_poll *p, int fd) {
  return (size_t)fd < p->fds ? p->by_fd[fd] : NULL;
}

static bool make_room(struct http_poll *p, int fd) {
  size_t fds = p->fds ? p->fds : FDS_AT_FIRST;
  while (fds <= (size_t)fd)
    fds *= 2;
  if (fds == p->fds) return true;
  struct http_socket **by_fd = mem_grow(p->by_fd, fds * sizeof(struct http_socket *));
  if (!by_fd) return false;
  memset(by_fd + p->fds, 0, (fds - p->fds) * sizeof(struct http_socket *));
  p->by_fd = by_fd;
  p->fds = fds;
  return true;
}

static struct http_socket *add(struct http_poll *p, int fd) {
  if (!make_room(p, fd)) return NULL;
  return p->by_fd[fd] = mem_zero(1, sizeof(struct http_socket));
}

static void deregister(struct http_socket *s) {
  if (s->registered) event_del(&s->event);
  s->registered = 0;
}

static void forget(struct http_poll *p, int fd) {
  struct http_socket *s = find(p, fd);
  if (!s) return;
  deregister(s);
  mem_free(s);
  p->by_fd[fd] = NULL;
}

static void act(struct http_poll *p, int fd, int what) {
  int running;
  curl_multi_socket_action(p->multi, fd, what, &running);
  p->progressed(p->arg);
}

static void socket_ready(evutil_socket_t fd, short what, void *arg) {
  struct http_poll *p = arg;
  struct http_socket *s = find(p, fd);
  if (s->wanted)
    act(p, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
  else
    deregister(s); // an idle connection that its peer closes; curl finds out when it wants to use it
}

static void watch(struct http_poll *p, struct http_socket *s, int fd, short what) {
  if (s->registered == what) return;
  deregister(s);
  event_assign(&s->event, p->base, fd, (short)(what | EV_PERSIST), socket_ready, p);
  if (!event_add(&s->event, NULL)) s->registered = what;
}

// curl's CURLMOPT_SOCKETFUNCTION.
static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp) {
  (void)easy, (void)socketp;
  struct http_poll *p = arg;
  struct http_socket *s = find(p, fd);
  if (what == CURL_POLL_REMOVE) {
    if (s && s->ours)
      s->wanted = false;
    else
      forget(p, fd);
    return 0;
  }
  if (!s) s = add(p, fd);
  if (!s) return 0; // out of memory; to fail here would end all transfers for ever, so this one times out
  s->wanted = true;
  watch(p, s, fd, (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0)));
  return 0;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg) {
  (void)fd, (void)what;
  act(arg, CURL_SOCKET_TIMEOUT, 0);
}

// curl's CURLMOPT_TIMERFUNCTION.
static int timer_wanted(CURLM *multi, long timeout_ms, void *arg) {
  (void)multi;
  struct http_poll *p = arg;
  struct timeval delay = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  if (timeout_ms > 0) return event_add(p->timer, &delay);
  event_del(p->timer);
  if (timeout_ms == 0) event_active(p->timer, EV_TIMEOUT, 0); // in this same turn of the loop
  return 0;
}

bool http_poll_init(struct http_poll *p, struct err *err) {
  p->timer = event_new(p->base, -1, 0, timer_fired, p);
  if (!p->timer) return err_set(err, "out of memory");
  curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
  curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
  curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
  curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
  return true;
}

void http_poll_fini(struct http_poll *p) {
  for (size_t fd = 0; fd < p->fds; fd++)
    forget(p, (int)fd);
  mem_free(p->by_fd);
  p->by_fd = NULL;
  p->fds = 0;
  if (p->timer) event_free(p->timer);
  p->timer = NULL;
}

int http_poll_open(struct http_poll *p, int family, int type, int protocol) {
  int fd = socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -1;
  struct http_socket *s = add(p, fd);
  if (s) {
    s->ours = true;
    return fd;
  }
  close(fd);
  return -1;
}

int http_poll_close(struct http_poll *p, int fd) {
  forget(p, fd);
  return close(fd);
}
