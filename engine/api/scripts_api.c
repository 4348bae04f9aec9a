// scripts_api.c - /api/v1/scripts: shared scripts listed, shown, written and removed. Files are the desk's
// business; streams learn of a new version by the file.
#include "api/app.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "flow/script_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS_SHOWN = 5 };

// ---- the list ----

struct listing {
  struct work work; // first
  struct app *app;
  struct http_request *request;
  struct page page;
  char (*names)[SCRIPT_NAME_BYTES];
  char (*versions)[SCRIPT_VERSION_BYTES]; // empty: it can't be read
  size_t *users;                          // streams that use it
  long count;
  bool more;
  struct err err;
};

static void listing_free(struct listing *l) {
  mem_free(l->names);
  mem_free(l->versions);
  mem_free(l->users);
  mem_free(l);
}

static void read_list(struct work *work) {
  struct listing *l = (struct listing *)work;
  l->count =
      script_files_list(l->app->scripts_folder, l->page.after, l->page.limit, l->names, &l->more, &l->err);
  for (long i = 0; i < l->count; i++) {
    size_t len;
    char *source = script_files_read(l->app->scripts_folder, l->names[i], &len, NULL);
    if (source) script_files_version(slice_make(source, len), l->versions[i]);
    mem_free(source);
  }
}

static int compare(const void *a, const void *b) {
  return strcmp(a, b);
}

static void count_users(struct listing *l) {
  const struct streams *all = l->app->streams;
  for (size_t i = 0; i < streams_count(all); i++) {
    const char *name = streams_at(all, i)->definition->script_name;
    char(*at)[SCRIPT_NAME_BYTES] =
        name ? bsearch(name, l->names, (size_t)l->count, SCRIPT_NAME_BYTES, compare) : NULL;
    if (at) l->users[at - l->names]++;
  }
}

static void list_read(struct work *work) {
  struct listing *l = (struct listing *)work;
  if (l->count < 0) {
    http_answer_problem(l->request, 503, "%s", l->err.text);
  } else {
    count_users(l);
    json_t *items = json_array();
    for (long i = 0; i < l->count; i++)
      json_array_append_new(items, json_pack("{s:s, s:s*, s:I}", "name", l->names[i], "version",
                                             l->versions[i][0] ? l->versions[i] : NULL, "streams",
                                             (json_int_t)l->users[i]));
    json_t *next = l->more ? json_string(l->names[l->count - 1]) : json_null();
    answer_json(l->request, 200, json_pack("{s:o, s:o}", "items", items, "next", next));
  }
  listing_free(l);
}

void scripts_list(struct route_call *call) {
  struct listing *l = mem_zero(1, sizeof *l);
  if (l && !request_page(call->request, &l->page)) {
    listing_free(l);
    return;
  }
  if (l) l->names = mem_zero(2 * l->page.limit, sizeof *l->names);
  if (l) l->versions = mem_zero(l->page.limit, sizeof *l->versions);
  if (l) l->users = mem_zero(l->page.limit, sizeof *l->users);
  if (!l || !l->names || !l->versions || !l->users) {
    http_answer_problem(call->request, 503, "out of memory: try again");
    if (l) listing_free(l);
    return;
  }
  l->app = call->app;
  l->request = call->request;
  l->work = (struct work){.loop = call->app->loop, .run = read_list, .done = list_read};
  work_desk_do(call->app->desk, &l->work);
}

// ---- one of them ----

struct errand {     // with one script
  struct work work; // first
  struct app *app;
  struct http_request *request;
  struct pool_check check;
  char name[SCRIPT_NAME_BYTES], label[SCRIPT_NAME_BYTES + 4]; // label: "NAME.lua"
  char *source;
  size_t len;
  bool there; // before
  bool ok;
  struct err err;
};

static void errand_free(struct errand *e) {
  mem_free(e->source);
  mem_free(e);
}

// NULL after an answer: no script has this name, or memory is short.
static struct errand *errand_new(struct route_call *call, int wrong_name) {
  struct err err = {0};
  struct errand *e = NULL;
  if (!script_files_check_name(call->id, &err)) {
    http_answer_problem(call->request, wrong_name, "there can be no script '%.60s': %s", call->id, err.text);
  } else if (!(e = mem_zero(1, sizeof *e))) {
    http_answer_problem(call->request, 503, "out of memory: try again");
  } else {
    e->app = call->app;
    e->request = call->request;
    snprintf(e->name, sizeof e->name, "%.64s", call->id);
    snprintf(e->label, sizeof e->label, "%s.lua", e->name);
  }
  return e;
}

static void errand_do(struct errand *e, void (*run)(struct work *work), void (*done)(struct work *work)) {
  e->work = (struct work){.loop = e->app->loop, .run = run, .done = done};
  work_desk_do(e->app->desk, &e->work);
}

static void answer_script(struct errand *e, int status) {
  char version[SCRIPT_VERSION_BYTES];
  json_t *source = json_stringn(e->source, e->len);
  script_files_version(slice_make(e->source, e->len), version);
  if (source)
    answer_json(e->request, status,
                json_pack("{s:s, s:o, s:s}", "name", e->name, "script", source, "version", version));
  else // what the API takes is; a file may hold anything
    http_answer_problem(e->request, 422, "%s is not UTF-8 text: mend the file", e->label);
}

static void read_script(struct work *work) {
  struct errand *e = (struct errand *)work;
  e->there = script_files_has(e->app->scripts_folder, e->name);
  if (e->there) e->source = script_files_read(e->app->scripts_folder, e->name, &e->len, &e->err);
}

static void script_read(struct work *work) {
  struct errand *e = (struct errand *)work;
  if (e->source)
    answer_script(e, 200);
  else if (e->there)
    http_answer_problem(e->request, 503, "%s", e->err.text);
  else
    http_answer_problem(e->request, 404, "there is no script '%s'", e->name);
  errand_free(e);
}

void scripts_get(struct route_call *call) {
  struct errand *e = errand_new(call, 404);
  if (e) errand_do(e, read_script, script_read);
}

// ---- PUT ----

static void write_script(struct work *work) {
  struct errand *e = (struct errand *)work;
  e->there = script_files_has(e->app->scripts_folder, e->name);
  e->ok = script_files_write(e->app->scripts_folder, e->name, slice_make(e->source, e->len), &e->err);
}

static void script_written(struct work *work) {
  struct errand *e = (struct errand *)work;
  if (e->ok)
    answer_script(e, e->there ? 200 : 201);
  else
    http_answer_problem(e->request, 503, "%s", e->err.text);
  errand_free(e);
}

static void script_compiled(struct pool_check *check) {
  struct errand *e = (struct errand *)((char *)check - offsetof(struct errand, check));
  if (check->ok) {
    errand_do(e, write_script, script_written);
    return;
  }
  http_answer_problem(e->request, 422, "%s", check->err.text);
  errand_free(e);
}

// What the API shows can be sent back. False with err.
static bool check_fields(const json_t *body, const char *name, struct err *err) {
  static const char *const known[] = {"script", "name", "version", NULL};
  const char *field, *given = json_string_value(json_object_get(body, "name"));
  json_t *value;
  if (!json_is_object(body)) return err_set(err, "the body must be a JSON object: {\"script\": \"...\"}");
  json_object_foreach((json_t *)(uintptr_t)body, field, value) {
    const char *near = suggest(field, known);
    if (!near) return err_set(err, "unknown field '%.60s'", field);
    if (strcmp(near, field) != 0)
      return err_set(err, "unknown field '%.60s'; did you mean '%s'?", field, near);
  }
  if (!json_is_string(json_object_get(body, "script")))
    return err_set(err, "'script' must be Lua source in a string");
  return !given || strcmp(given, name) == 0 ||
         err_set(err, "'name' is '%.60s', and the path says '%s'", given, name);
}

static bool take_source(struct errand *e, const json_t *body, struct err *err) {
  const json_t *script = json_object_get(body, "script");
  e->len = json_string_length(script);
  if (e->len > LIMIT_SCRIPT_SOURCE_BYTES)
    return err_set(err, "the script is %zu bytes long; at most %d are taken", e->len,
                   LIMIT_SCRIPT_SOURCE_BYTES);
  e->source = mem_copy(json_string_value(script), e->len);
  return e->source || err_set(err, "out of memory: try again");
}

void scripts_put(struct route_call *call) {
  struct errand *e = errand_new(call, 422);
  json_t *body = e ? request_json(call->request) : NULL;
  struct err err = {0};
  bool ok = body && check_fields(body, e->name, &err) && take_source(e, body, &err);
  if (body && !ok) http_answer_problem(call->request, 422, "%s", err.text);
  json_decref(body);
  if (ok) {
    e->check = (struct pool_check){.loop = e->app->loop,
                                   .name = e->label,
                                   .source = slice_make(e->source, e->len),
                                   .role = SCRIPT_STREAM,
                                   .done = script_compiled};
    pool_check(e->app->pool, &e->check);
  } else if (e) {
    errand_free(e);
  }
}

// ---- DELETE ----

// The first few streams that use it, in words; false: none does.
static bool is_used(const struct app *app, const char *name, char words[200]) {
  size_t count = 0;
  words[0] = 0;
  for (size_t i = 0; i < streams_count(app->streams); i++) {
    const struct definition *d = streams_at(app->streams, i)->definition;
    if (!d->script_name || strcmp(d->script_name, name) != 0) continue;
    size_t len = strlen(words);
    if (count++ < USERS_SHOWN) snprintf(words + len, 200 - len, "%s%s", len ? ", " : "", d->id);
  }
  size_t len = strlen(words);
  if (count > USERS_SHOWN) snprintf(words + len, 200 - len, " and %zu more", count - USERS_SHOWN);
  return count > 0;
}

static void remove_script(struct work *work) {
  struct errand *e = (struct errand *)work;
  e->there = script_files_has(e->app->scripts_folder, e->name);
  e->ok = e->there && script_files_remove(e->app->scripts_folder, e->name, &e->err);
}

static void script_removed(struct work *work) {
  struct errand *e = (struct errand *)work;
  if (e->ok)
    answer_json(e->request, 200, json_pack("{s:s}", "name", e->name));
  else if (e->there)
    http_answer_problem(e->request, 503, "%s", e->err.text);
  else
    http_answer_problem(e->request, 404, "there is no script '%s'", e->name);
  errand_free(e);
}

void scripts_delete(struct route_call *call) {
  char users[200];
  struct errand *e = errand_new(call, 404);
  if (!e) return;
  if (is_used(call->app, e->name, users)) {
    http_answer_problem(call->request, 409, "the script '%s' is used by %s: give these another one first",
                        e->name, users);
    errand_free(e);
  } else {
    errand_do(e, remove_script, script_removed);
  }
}
