#include "net/http_listen.h"

#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { HOST_BYTES = 256, BACKLOG = 512 };

// Splits at the last colon; brackets around an IPv6 address fall away.
static bool split(const char *text, char host[HOST_BYTES], const char **port) {
  const char *colon = strrchr(text, ':');
  if (!colon || colon == text || !colon[1]) return false;
  size_t len = (size_t)(colon - text);
  bool brackets = *text == '[';
  if (brackets && (len < 3 || colon[-1] != ']')) return false;
  if (!brackets && memchr(text, ':', len)) return false;
  text += brackets;
  len -= brackets ? 2 : 0;
  if (len >= HOST_BYTES) return false;
  memcpy(host, text, len);
  host[len] = 0;
  *port = colon + 1;
  return true;
}

struct evconnlistener *http_listen(struct event_base *base, const char *text, struct err *err) {
  char host[HOST_BYTES];
  const char *port;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                  *found = NULL;
  if (!split(text, host, &port)) {
    err_set(err, "can't listen on \"%s\": it must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080", text);
    return NULL;
  }
  int failed = getaddrinfo(host, port, &hints, &found);
  if (failed) {
    err_set(err, "can't listen on %s: %s", text, gai_strerror(failed));
    return NULL;
  }
  struct evconnlistener *listener = evconnlistener_new_bind(
      base, NULL, NULL, LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, BACKLOG,
      found->ai_addr, (int)found->ai_addrlen);
  if (!listener) err_set_errno(err, "can't listen on %s", text);
  freeaddrinfo(found);
  return listener;
}

int http_listen_port(struct evconnlistener *listener) {
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &len)) return 0;
  if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
  return ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
}
