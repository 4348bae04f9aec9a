// definition_support.h - a world for definitions (the shipped sinks, one that takes alerts only, shared
// scripts), and bodies to try.
#pragma once
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/definition.h"
#include "journal/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_ROOM = 1024 };

static char folder[] = "/tmp/sluice-definition-XXXXXX";
static struct definition_world world;

// ---- a world with the shipped sinks, one that takes alerts only, and shared scripts ----

static void write_file(const char *name, struct slice text) {
  char path[PATH_ROOM];
  struct err err = {0};
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_true(disk_replace_file(path, text, 0600, &err));
}

static void copy_sink(const char *name) {
  char path[PATH_ROOM], to[64];
  struct err err = {0};
  size_t len;
  snprintf(path, sizeof path, "%.*s../../sinks/%s", (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__,
           name);
  snprintf(to, sizeof to, "sinks/%s", name);
  char *source = disk_read_file(path, 1 << 20, &len, &err);
  assert_string_equal(err.text, "");
  write_file(to, slice_make(source, len));
  mem_free(source);
}

static int open_world(void **state) {
  (void)state;
  char sinks[PATH_ROOM];
  static char scripts[PATH_ROOM];
  struct err err = {0};
  assert_non_null(mkdtemp(folder));
  snprintf(sinks, sizeof sinks, "%s/sinks", folder);
  snprintf(scripts, sizeof scripts, "%s/scripts", folder);
  assert_true(disk_make_folder(sinks, &err) && disk_make_folder(scripts, &err));
  copy_sink("rest.lua");
  copy_sink("rest_bulk.lua");
  write_file(
      "sinks/pager.lua",
      slice_of("return { api = 1, name = 'pager', title = 'Pager', accepts = { 'alert' }, framing = 'one',\n"
               "  settings = { { 'token', label = 'Token', type = 'secret' } }, batch = { records = 1, bytes = 1000 },\n"
               "  map = function(rec, ctx) return rec end,\n"
               "  request = function(batch, settings) return { url = 'http://127.0.0.1/' } end }\n"));
  write_file("scripts/shared-1.lua", slice_of("return { api = 1 } -- shared"));
  static char much[LIMIT_SCRIPT_SOURCE_BYTES + 1];
  memset(much, '-', sizeof much);
  write_file("scripts/too_long.lua", slice_make(much, sizeof much));
  world.sinks = sink_set_load(sinks, &err);
  world.scripts_folder = scripts;
  assert_string_equal(err.text, "");
  assert_int_equal(sink_set_count(world.sinks), 3);
  return 0;
}

static int close_world(void **state) {
  (void)state;
  static const char *const folders[] = {"/sinks", "/scripts", ""};
  struct err err = {0};
  sink_set_free((struct sink_set *)(uintptr_t)world.sinks);
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s%s", folder, folders[i]);
    disk_remove_folder(path, &err);
  }
  return err.text[0];
}

// ---- bodies: a right one, with some fields put over it ----

static const char right[] = "{\"name\":\"Fleet\",\"type\":\"usage\",\"sink\":\"rest\",\"settings\":{\"url\":"
                            "\"https://a.example/in\"}}";

static json_t *json_of(const char *text) {
  json_error_t why;
  json_t *json = json_loads(text, JSON_DECODE_ANY, &why);
  if (!json) fail_msg("%s: %s", text, why.text);
  return json;
}

static json_t *body_with(const char *fields) {
  json_t *body = json_of(right), *over = json_of(fields), *value;
  const char *name;
  json_object_foreach(over, name, value) {
    if (json_is_string(value) && strcmp(json_string_value(value), "(none)") == 0)
      json_object_del(body, name);
    else
      json_object_set(body, name, value);
  }
  json_decref(over);
  return body;
}

static struct definition *try_create(const char *fields, struct err *err) {
  json_t *body = body_with(fields), *before = json_deep_copy(body);
  struct definition *d = definition_create(&world, body, 42, err);
  assert_true(json_equal(body, before)); // the caller's
  json_decref(body);
  json_decref(before);
  return d;
}

static struct definition *create(const char *fields) {
  struct err err = {0};
  struct definition *d = try_create(fields, &err);
  assert_string_equal(err.text, "");
  assert_non_null(d);
  return d;
}

static struct definition *try_change(const struct definition *old, const char *change, struct err *err) {
  json_t *body = json_of(change), *before = json_deep_copy(body);
  char *document = strndup(old->document.at, old->document.len); // mem_copy may be made to fail
  struct definition *d = definition_change(&world, old, body, err);
  assert_true(json_equal(body, before)); // the caller's
  assert_true(slice_is(old->document, document)); // what is made does not change
  free(document);
  json_decref(before);
  json_decref(body);
  return d;
}

static json_t *json_of_slice(struct slice text) {
  json_t *json = json_loadb(text.at, text.len, 0, NULL);
  assert_non_null(json);
  return json;
}

// The text of a setting until the next call, or NULL.
static const char *setting(const struct definition *d, const char *name) {
  static char text[PATH_ROOM];
  json_t *settings = json_of_slice(d->settings);
  const char *value = json_string_value(json_object_get(settings, name));
  if (value) snprintf(text, sizeof text, "%s", value);
  json_decref(settings);
  return value ? text : NULL;
}
