// routes.c - the table of routes: method, path, who may, handler.
#include "api/app.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum access { ANYONE, OPERATOR, OPERATOR_OR_LOOPBACK };

static const struct route {
  enum http_method method;
  const char *path; // '*' stands for one part, given to the handler as id
  enum access access;
  void (*handle)(struct route_call *call);
} routes[] = {
    {HTTP_POST, "/api/v1/records", OPERATOR, records_post},
    {HTTP_GET, "/api/v1/streams", OPERATOR, streams_list},
    {HTTP_POST, "/api/v1/streams", OPERATOR, streams_post},
    {HTTP_GET, "/api/v1/streams/*", OPERATOR, streams_get},
    {HTTP_PATCH, "/api/v1/streams/*", OPERATOR, streams_patch},
    {HTTP_DELETE, "/api/v1/streams/*", OPERATOR, streams_delete},
    {HTTP_POST, "/api/v1/streams/*/activate", OPERATOR, streams_activate},
    {HTTP_POST, "/api/v1/streams/*/deactivate", OPERATOR, streams_deactivate},
    {HTTP_POST, "/api/v1/streams/*/test", OPERATOR, streams_test},
    {HTTP_GET, "/api/v1/streams/*/dead-letters", OPERATOR, dead_letters_list},
    {HTTP_GET, "/api/v1/alerts", OPERATOR, alerts_list},
    {HTTP_GET, "/api/v1/sinks", OPERATOR, sinks_list},
    {HTTP_GET, "/api/v1/fields", OPERATOR, fields_get},
    {HTTP_GET, "/api/v1/scripts", OPERATOR, scripts_list},
    {HTTP_POST, "/api/v1/scripts/try", OPERATOR, scripts_try},
    {HTTP_GET, "/api/v1/scripts/*", OPERATOR, scripts_get},
    {HTTP_PUT, "/api/v1/scripts/*", OPERATOR, scripts_put},
    {HTTP_DELETE, "/api/v1/scripts/*", OPERATOR, scripts_delete},
    {HTTP_GET, "/", ANYONE, root_get},
    {HTTP_GET, "/healthz", ANYONE, health_get},
    {HTTP_GET, "/readyz", ANYONE, ready_get},
    {HTTP_GET, "/metrics", OPERATOR_OR_LOOPBACK, metrics_get},
};

// The API's, and not yet made: whoever asks is told so, whatever the method.
static const char *const later[] = {
    "/api/v1/tokens",
    "/api/v1/tokens/*",
    "/api/v1/users",
    "/api/v1/users/*",
    "/api/v1/session",
    "/api/v1/tail",
    "/api/v1/openapi.json",
    "/api/v1/streams/*/replay",
    "/api/v1/streams/*/deliveries",
    "/api/v1/streams/*/dead-letters/redrive",
};

enum { ROUTES = sizeof routes / sizeof *routes };

static const struct {
  enum http_method method;
  const char *name;
} methods[] = {{HTTP_GET, "GET"},     {HTTP_HEAD, "HEAD"},     {HTTP_POST, "POST"},      {HTTP_PUT, "PUT"},
             {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"}, {HTTP_OPTIONS, "OPTIONS"}};

// Whether the path fits; what '*' stands for goes to id.
static bool fits(const char *pattern, const char *path, char *id, size_t room) {
  while (*pattern && *path) {
    if (*pattern != '*') {
      if (*pattern++ != *path++) return false;
      continue;
    }
    size_t len = strcspn(path, "/");
    if (!len || len >= room) return false;
    memcpy(id, path, len);
    id[len] = 0;
    path += len;
    pattern++;
  }
  return !*pattern && !*path;
}

static bool is_operator(const struct app *app, const struct http_request *request) {
  const char *header = http_request_header(request, "Authorization");
  char given[TOKEN_BYTES] = {0};
  if (!header || strncasecmp(header, "Bearer ", 7) != 0) return false; // schemes ignore case (RFC 9110, 11.1)
  const char *token = header + 7 + strspn(header + 7, " ");
  if (strlen(token) >= sizeof given) return false;
  memcpy(given, token, strlen(token));
  return sodium_memcmp(given, app->operator_token, sizeof given) == 0;
}

static bool allowed(const struct app *app, struct http_request *request, enum access access) {
  if (access == ANYONE || (access == OPERATOR_OR_LOOPBACK && http_request_from_loopback(request))) return true;
  if (is_operator(app, request)) return true;
  bool given = http_request_header(request, "Authorization") != NULL;
  http_answer_header(request, "WWW-Authenticate", "Bearer");
  http_answer_problem(request, 401, given ? "this token is not known: is it the one in the data folder's operator.token?"
                                          : "a token is needed: send 'Authorization: Bearer TOKEN'");
  return false;
}

// Another method than the path's own: told which these are, or asked for just that.
static void tell_methods(struct http_request *request, unsigned known) {
  char allow[64] = "";
  if (known & HTTP_GET) known |= HTTP_HEAD;
  known |= HTTP_OPTIONS;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (known & methods[i].method)
      snprintf(allow + strlen(allow), sizeof allow - strlen(allow), "%s%s", *allow ? ", " : "", methods[i].name);
  http_answer_header(request, "Allow", allow);
  if (http_request_method(request) == HTTP_OPTIONS) http_answer(request, 204, NULL, slice_make(NULL, 0));
  else http_answer_problem(request, 405, "this path takes %s", allow);
}

static bool comes_later(const char *path) {
  char id[sizeof((struct route_call *)0)->id];
  for (size_t i = 0; i < sizeof later / sizeof *later; i++)
    if (fits(later[i], path, id, sizeof id)) return true;
  return false;
}

void app_handle(struct http_request *request, void *arg) {
  struct route_call call = {.app = arg, .request = request};
  const char *path = http_request_path(request);
  enum http_method method = http_request_method(request);
  unsigned known = 0;
  if (method == HTTP_HEAD) method = HTTP_GET;
  for (size_t i = 0; i < ROUTES; i++) {
    if (!fits(routes[i].path, path, call.id, sizeof call.id)) continue;
    known |= routes[i].method;
    if (routes[i].method != method) continue;
    if (allowed(call.app, request, routes[i].access)) routes[i].handle(&call);
    return;
  }
  if (known) tell_methods(request, known);
  else if (comes_later(path)) http_answer_problem(request, 501, "%.200s is not in this version of Sluice", path);
  else http_answer_problem(request, 404, "there is nothing at this path");
}
