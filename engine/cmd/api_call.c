// api_call.c - libcurl's easy interface behind a handful of lines; jansson reads the problems.
#include "cmd/api_call.h"
#include "base/mem.h"
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  ANSWER_BYTES = 64 << 20, // a page of 1,000 streams with their scripts (64 KB each at most)
  CONNECT_TIMEOUT_S = 10,
  CALL_TIMEOUT_S = 120,
};

struct api_call {
  CURL *curl;
  char *base;          // "http://127.0.0.1:8080", without a slash at its end
  char *authorization; // "Authorization: Bearer TOKEN"; NULL: no token
  struct buf body;     // of the last answer
};

// The token the engine left beside its data, for whoever works in the same folder.
static char *token_from_file(void) {
  char text[256];
  FILE *file = fopen("data/operator.token", "re");
  if (!file) return NULL;
  char *line = fgets(text, sizeof text, file);
  fclose(file);
  if (!line) return NULL;
  return mem_copy(text, strcspn(text, "\r\n"));
}

static char *token_choose(const char *token) {
  if (!token) token = getenv("SLUICE_TOKEN");
  return token && *token ? mem_copy(token, strlen(token)) : token_from_file();
}

static const char *url_choose(const char *url) {
  if (!url) url = getenv("SLUICE_URL");
  return url && *url ? url : "http://127.0.0.1:8080";
}

static char *authorization_line(const char *token) {
  static const char name[] = "Authorization: Bearer ";
  size_t room = sizeof name + strlen(token);
  char *line = mem_must(mem_alloc(room));
  snprintf(line, room, "%s%s", name, token);
  return line;
}

static size_t take_body(char *at, size_t size, size_t count, void *arg) {
  struct api_call *api = arg;
  return buf_append(&api->body, at, size * count) ? size * count : 0;
}

struct api_call *api_call_open(const char *url, const char *token, struct err *err) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  struct api_call *api = mem_must(mem_zero(1, sizeof *api));
  buf_init(&api->body, ANSWER_BYTES);
  const char *base = url_choose(url);
  size_t len = strlen(base);
  while (len > 0 && base[len - 1] == '/')
    len--;
  api->base = mem_must(mem_copy(base, len));
  char *chosen = token_choose(token);
  if (chosen) api->authorization = authorization_line(chosen);
  mem_free(chosen);
  api->curl = curl_easy_init();
  if (api->curl) return api;
  err_set(err, "cannot start libcurl: out of memory");
  api_call_close(api);
  return NULL;
}

void api_call_close(struct api_call *api) {
  if (!api) return;
  curl_easy_cleanup(api->curl);
  buf_fini(&api->body);
  mem_free(api->base);
  mem_free(api->authorization);
  mem_free(api);
}

// A POST always says how long it is, even when that is 0: servers wait for a body otherwise.
static void set_body(CURL *curl, const char *method, const char *content_type, struct slice body) {
  if (!content_type && strcmp(method, "POST") != 0) return;
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.at ? body.at : "");
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
}

static struct curl_slist *headers_new(const struct api_call *api, const char *content_type) {
  char type[128];
  // Waiting for 100-continue would cost a second with peers that never send it.
  struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
  if (api->authorization) headers = curl_slist_append(headers, api->authorization);
  // Without a value the line is left out, instead of what libcurl would put there.
  snprintf(type, sizeof type, content_type ? "Content-Type: %s" : "Content-Type:%s",
           content_type ? content_type : "");
  return curl_slist_append(headers, type);
}

static bool perform(struct api_call *api, const char *url, struct api_answer *answer, struct err *err) {
  char words[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(api->curl, CURLOPT_URL, url);
  curl_easy_setopt(api->curl, CURLOPT_ERRORBUFFER, words);
  curl_easy_setopt(api->curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(api->curl, CURLOPT_WRITEDATA, api);
  curl_easy_setopt(api->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
  curl_easy_setopt(api->curl, CURLOPT_TIMEOUT, (long)CALL_TIMEOUT_S);
  curl_easy_setopt(api->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(api->curl, CURLOPT_PROXY, ""); // as the engine: no proxy from the environment
  CURLcode code = curl_easy_perform(api->curl);
  curl_easy_setopt(api->curl, CURLOPT_ERRORBUFFER, NULL);
  if (code != CURLE_OK) return err_set(err, "%s: %s", api->base, *words ? words : curl_easy_strerror(code));
  long status = 0;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(api->curl, CURLINFO_RETRY_AFTER, &retry_after);
  *answer = (struct api_answer){(int)status, buf_slice(&api->body), (long)retry_after};
  return true;
}

bool api_call_send(struct api_call *api, const char *method, const char *path, const char *content_type,
                   struct slice body, struct api_answer *answer, struct err *err) {
  size_t room = strlen(api->base) + strlen(path) + 1;
  char *url = mem_must(mem_alloc(room));
  snprintf(url, room, "%s%s", api->base, path);
  api->body.len = 0;
  curl_easy_reset(api->curl); // keeps the connection
  struct curl_slist *headers = headers_new(api, content_type);
  set_body(api->curl, method, content_type, body);
  curl_easy_setopt(api->curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, headers);
  bool ok = perform(api, url, answer, err);
  curl_slist_free_all(headers);
  mem_free(url);
  return ok;
}

bool api_call_refused(const struct api_answer *answer, struct err *err) {
  json_t *problem = json_loadb(answer->body.at ? answer->body.at : "", answer->body.len, 0, NULL);
  const char *words = json_string_value(json_object_get(problem, "detail"));
  if (!words) words = json_string_value(json_object_get(problem, "title"));
  if (words)
    err_set(err, "%s (HTTP %d)", words, answer->status);
  else
    err_set(err, "the engine answered HTTP %d", answer->status);
  json_decref(problem);
  return false;
}

bool api_call_must(struct api_call *api, const char *method, const char *path, const char *content_type,
                   struct slice body, struct api_answer *answer, struct err *err) {
  if (!api_call_send(api, method, path, content_type, body, answer, err)) return false;
  return (answer->status >= 200 && answer->status <= 299) || api_call_refused(answer, err);
}
