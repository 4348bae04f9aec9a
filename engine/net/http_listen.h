// http_listen.h - a listening socket from words such as "127.0.0.1:8080" or "[::1]:0".
#pragma once
#include "base/err.h"

struct evconnlistener;
struct event_base;

struct evconnlistener *http_listen(struct event_base *base, const char *listen, struct err *err);
int http_listen_port(struct evconnlistener *listener);
