// sink_test.c - proves that sink files are read or refused in words, settings checked, and hooks run on
// batches and answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "script/sink.h"

#include <stdlib.h>
#include <unistd.h>

// ---- a sink and a binding from texts ----

static struct sink *load(const char *source) {
  struct err err = {0};
  struct sink *sink = sink_load("t.lua", slice_of(source), &err);
  assert_string_equal(err.text, "");
  assert_non_null(sink);
  return sink;
}

static json_t *settings_from(const char *text) {
  json_t *settings = json_loads(text, 0, NULL);
  assert_non_null(settings);
  return settings;
}

static json_t *checked(const struct sink *sink, const char *text) {
  struct err err = {0};
  json_t *given = settings_from(text), *settings = sink_check_settings(sink, given, &err);
  json_decref(given);
  assert_string_equal(err.text, "");
  assert_non_null(settings);
  return settings;
}

struct kept_text { // a binding's settings
  struct kept_text *next;
  char *json;
};

struct bound {
  struct sink *sink;
  struct kept_text *texts;
  struct sink_runner *runner;
  struct sink_binding *binding;
  struct sink_request request;
  struct sink_verdict verdict;
  struct err err;
};

static struct sink_binding *bound_to(struct bound *b, const char *settings) {
  json_t *s = checked(b->sink, settings);
  struct kept_text *text = malloc(sizeof *text);
  *text = (struct kept_text){b->texts, json_dumps(s, JSON_COMPACT)};
  b->texts = text;
  json_decref(s);
  return sink_bind(b->runner, b->sink, slice_of(text->json), &b->err);
}

static void open_bound(struct bound *b, struct sink *sink, const char *settings) {
  *b = (struct bound){.sink = sink, .runner = sink_runner_new(NULL)};
  b->binding = bound_to(b, settings);
  assert_string_equal(b->err.text, "");
  assert_non_null(b->binding);
}

static void close_bound(struct bound *b) {
  sink_unbind(b->binding);
  for (struct kept_text *text; (text = b->texts);) {
    b->texts = text->next;
    free(text->json);
    free(text);
  }
  sink_runner_free(b->runner);
  sink_unref(b->sink);
}

static int items_asked;

static const struct sink_item *item(const struct sink_batch *batch, uint32_t i, struct sink_item *room) {
  (void)batch;
  items_asked++;
  *room = (struct sink_item){.key = slice_of(i ? "" : "k0"), .body = slice_of(i ? "{\"n\":1}" : "{\"n\":0}")};
  return room;
}

static const struct sink_batch two = {.id = "msg_1",
                                      .kind = "event",
                                      .attempt = 3,
                                      .now_ms = 1700000000123,
                                      .record_count = 2,
                                      .item = item,
                                      .note = "n1"};

static bool request(struct bound *b) {
  b->err = (struct err){0};
  return sink_request(b->binding, &two, &b->request, &b->err);
}

static bool verdict(struct bound *b, int status, const char *body) {
  struct http_response response = {.outcome = status ? HTTP_ANSWERED : HTTP_TRANSPORT,
                                   .status = status,
                                   .body = slice_of(body),
                                   .retry_after_ms = 7000,
                                   .error = "broke off"};
  b->err = (struct err){0};
  return sink_verdict(b->binding, &two, &response, &b->verdict, &b->err);
}

static const char *header(const struct sink_request *r, const char *name) {
  size_t len = strlen(name);
  for (size_t i = 0; r->headers[i]; i++)
    if (strncmp(r->headers[i], name, len) == 0 && strncmp(r->headers[i] + len, ": ", 2) == 0)
      return r->headers[i] + len + 2;
  return NULL;
}

#define SINK(body)                                                                                           \
  "local S = { api = 1, name = 't' }\nfunction S.request(b, s) return { url = 'http://h/' } end\n" body      \
  "\nreturn S"
#define REQUEST(body)                                                                                        \
  "local S = { api = 1, name = 't', settings = { { 'p', type = 'secret' }, { 'h', type = 'headers' } } }\n"  \
  "function S.request(batch, settings)\n" body "\nend\nreturn S"

// ---- files ----

static void reads_a_file(void **state) {
  // Proves: every key of a sink file lands in the sink, and its description says the same.
  (void)state;
  struct sink *sink = load(
      "local S = { api = 1, name = 'slack-2', title = 'Slack', accepts = { 'alert', 'event' }, framing = "
      "'lines',\n"
      "settings = { { 'url', type = 'url', label = 'Webhook', help = 'h', required = true, secret = true },\n"
      "  { 'n', type = 'integer', min = 1, max = 5, default = 2 },\n"
      "  { 'mode', type = 'choice', choices = { 'a', 'b' }, default = 'b' } },\n"
      "batch = { records = 50, bytes = 1000, seconds = 1.5, by = 'kind', one_per_key = true, planned = true "
      "} }\n"
      "function S.map(rec, ctx) return {} end\nfunction S.request(b, s) return {} end\n"
      "function S.verdict() end\nfunction S.probe() end\nreturn S");
  assert_string_equal(sink->name, "slack-2");
  assert_string_equal(sink->title, "Slack");
  assert_int_equal(strlen(sink->version), 12);
  assert_int_equal(sink->accepts, 1 << 1 | 1 << 3);
  assert_int_equal(sink->setting_count, 3);
  assert_true(sink->settings[0].required && sink->settings[0].secret && sink->settings[0].type == SINK_URL);
  assert_int_equal(json_integer_value(sink->settings[1].initial), 2);
  assert_string_equal(sink->settings[2].choices[1], "b");
  assert_null(sink->settings[2].choices[2]);
  assert_int_equal(sink->batch_records, 50);
  assert_int_equal(sink->batch_bytes, 1000);
  assert_int_equal(sink->batch_ms, 1500);
  assert_true(sink->by_kind && sink->one_per_key && sink->planned);
  assert_true(sink->has_map && sink->has_request && sink->has_verdict && sink->has_probe);
  json_t *shown = sink_describe(sink);
  assert_string_equal(json_string_value(json_object_get(shown, "title")), "Slack");
  assert_int_equal(json_array_size(json_object_get(shown, "settings")), 3);
  json_decref(shown);
  sink_unref(sink);
}

static void refuses_files_in_words(void **state) {
  // Proves: each mistake in a sink file is named with its file and, where it can be known, its line.
  (void)state;
  static const struct {
    const char *source, *why;
  } cases[] = {
      {"return {", "t.lua:1: unexpected symbol near '<eof>'"},
      {"return 5", "t.lua: a sink must return a table"},
      {"return { api = 2 }", "t.lua:1: api must be 1"},
      {"return { api = 1,\nnaem = 't' }", "t.lua:2: sink: unknown \"naem\": did you mean \"name\"?"},
      {"return { api = 1,\n\nname = 'T' }", "t.lua:3: name must be 1 to 64 of a-z, 0-9, \"_\" and \"-\""},
      {"return { api = 1, name = 't' }", "t.lua: the function request(batch, settings) is missing"},
      {"return { api = 1, name = 't', request = 1 }", "t.lua:1: request must be a function"},
      {SINK("function S.verdcit() end"), "t.lua:3: sink: unknown \"verdcit\": did you mean \"verdict\"?"},
      {SINK("S.accepts = { 'cdr' }"), "t.lua:3: accepts must be a list of \"event\", \"usage\", \"alert\""},
      {SINK("S.framing = 'csv'"),
       "t.lua:3: framing must be \"one\", \"array\", \"lines\", \"custom\" or a function"},
      {SINK("S.batch = { records = 0 }"), "t.lua:3: records must be a whole number from 1 to 10000"},
      {SINK("S.batch = { records = 2 }"),
       "t.lua:3: framing \"one\" sends one record: batch.records must be 1"},
      {SINK("S.batch = { recods = 1 }"), "t.lua:3: batch: unknown \"recods\": did you mean \"records\"?"},
      {SINK("S.batch = { seconds = -1 }"), "t.lua:3: seconds must be from 0 to 3600"},
      {SINK("S.settings = { 5 }"), "t.lua:3: settings must be a list of tables"},
      {SINK("S.settings = { { 'a' } }"),
       "t.lua:3: setting a: type must be string, secret, integer, number, boolean, choice, url or headers"},
      {SINK("S.settings = { { 'a', type = 'string', lable = 'x' } }"),
       "t.lua:3: a: unknown \"lable\": did you mean \"label\"?"},
      {SINK("S.settings = {\n{ 'a', type = 'choice' } }"),
       "t.lua:4: setting a: type \"choice\" needs choices = { ... }"},
      {SINK("S.settings = { { 'a', type = 'integer', min = 3, max = 2 } }"),
       "t.lua:3: setting a: min and max leave no value"},
      {SINK("S.settings = { { 'a', type = 'integer', max = 2, default = 3 } }"),
       "t.lua:3: setting a: default must be from -9.00719925474099e+15 to 2"},
      {SINK("S.settings = { { 'a', type = 'string' }, { 'a', type = 'string' } }"),
       "t.lua:3: setting a is there twice"},
      {SINK("S.settings = { { 'a', type = 'string', required = { b = 'x' } } }"),
       "t.lua:3: setting a: required names \"b\", which is no setting"},
      {"while true do end", "t.lua:1: took longer than 50 ms"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct err err = {0};
    assert_null(sink_load("t.lua", slice_of(cases[i].source), &err));
    assert_string_equal(err.text, cases[i].why);
  }
}

static void write_file(const char *folder, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void loads_a_folder(void **state) {
  // Proves: good files stand, a broken one and a second of the same name are left out with an error, specs
  // are not looked at.
  (void)state;
  char folder[] = "/tmp/sink_test_XXXXXX", path[128];
  static const char *const names[] = {"a.lua", "b.lua", "c.lua", "t_spec.lua", "notes.txt"};
  assert_non_null(mkdtemp(folder));
  write_file(folder, "a.lua", SINK(""));
  write_file(folder, "b.lua", "return {");
  write_file(folder, "c.lua", SINK("S.title = 'again'"));
  write_file(folder, "t_spec.lua", "no lua");
  write_file(folder, "notes.txt", "no lua");
  struct err err = {0};
  struct sink_set *set = sink_set_load(folder, &err);
  assert_non_null(set);
  assert_int_equal(sink_set_count(set), 1);
  assert_non_null(strstr(err.text, "b.lua:1: unexpected symbol"));
  assert_string_equal(sink_set_find(set, "t")->title, "t");
  assert_null(sink_set_find(set, "u"));
  sink_set_free(set);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  rmdir(folder);
  err = (struct err){0};
  assert_null(sink_set_load(folder, &err));
  assert_non_null(strstr(err.text, "can't be read"));
}

// ---- settings ----

static struct sink *shipped(const char *name) {
  char folder[300];
  struct err err = {0};
  snprintf(folder, sizeof folder, "%s", __FILE__);
  char *slash = strrchr(folder, '/');
  snprintf(slash ? slash : folder, sizeof folder - (size_t)((slash ? slash : folder) - folder),
           "%s../../sinks", slash ? "/" : "");
  struct sink_set *set = sink_set_load(folder, &err);
  assert_string_equal(err.text, "");
  struct sink *sink = sink_set_find(set, name);
  assert_non_null(sink);
  assert_string_equal(sink_set_suggest(set, "rest_bluk"), "rest_bulk");
  sink_ref(sink);
  sink_set_free(set);
  return sink;
}

static void checks_settings(void **state) {
  // Proves: each wrong setting of the shipped sinks is refused by name and rule, without its value.
  (void)state;
  static const struct {
    const char *settings, *why;
  } cases[] = {
      {"{}", "setting url: is required"},
      {"{\"url\":\"\"}", "setting url: is required"},
      {"{\"url\":5}", "setting url: must be a text"},
      {"{\"url\":\"ftp://h/\"}", "setting url: must begin with http:// or https://"},
      {"{\"url\":\"http://\"}", "setting url: has no host, or one that is not valid"},
      {"{\"url\":\"http:///path\"}", "setting url: has no host, or one that is not valid"},
      {"{\"url\":\"http://h:0/\"}", "setting url: has no host, or one that is not valid"},
      {"{\"url\":\"http://h:99999/\"}", "setting url: has no host, or one that is not valid"},
      {"{\"url\":\"http://[::1/\"}", "setting url: has no host, or one that is not valid"},
      {"{\"url\":\"http://a\\\\b/\"}", "setting url: has no host, or one that is not valid"},
      {"{\"url\":\"http://user:pw@h/\"}",
       "setting url: must not contain a user or a password: they have settings of their own"},
      {"{\"url\":\"http://h/a b\"}", "setting url: must not contain blanks or control characters"},
      {"{\"url\":\"http://h/\",\"urll\":1}",
       "setting urll: unknown to sink rest_bulk, did you mean \"url\"?"},
      {"{\"url\":\"http://h/\",\"zzzzzz\":1}", "setting zzzzzz: unknown to sink rest_bulk"},
      {"{\"url\":\"http://h/\",\"method\":\"GET\"}",
       "setting method: must be one of \"POST\", \"PUT\", \"PATCH\""},
      {"{\"url\":\"http://h/\",\"max_records\":10001}", "setting max_records: must be from 1 to 10000"},
      {"{\"url\":\"http://h/\",\"max_records\":0}", "setting max_records: must be from 1 to 10000"},
      {"{\"url\":\"http://h/\",\"max_records\":\"5\"}", "setting max_records: must be a whole number"},
      {"{\"url\":\"http://h/\",\"max_records\":5.5}", "setting max_records: must be a whole number"},
      {"{\"url\":\"http://h/\",\"gzip\":\"yes\"}", "setting gzip: must be true or false"},
      {"{\"url\":\"http://h/\",\"token\":\"abc\\n\"}",
       "setting token: must not contain control characters, such as a line end"},
      {"{\"url\":\"http://h/\",\"token\":\"********\"}",
       "setting token: this is the mask of a secret, not its value"},
      {"{\"url\":\"http://h/\",\"auth\":\"bearer\"}", "setting token: is required when auth is \"bearer\""},
      {"{\"url\":\"http://h/\",\"auth\":\"basic\"}", "setting username: is required when auth is \"basic\""},
      {"{\"url\":\"http://h/\",\"headers\":[]}", "setting headers: must be an object of names and texts"},
      {"{\"url\":\"http://h/\",\"headers\":{\"hOST\":\"x\"}}",
       "setting headers: hOST is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"Webhook-Id\":\"x\"}}",
       "setting headers: Webhook-Id is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"a b\":\"x\"}}",
       "setting headers: \"a b\" can't be the name of a header"},
      {"{\"url\":\"http://h/\",\"headers\":{\"X\":\"a\\r\\nY: b\"}}",
       "setting headers: X must not contain control characters, such as a line end"},
      {"{\"url\":\"http://h/\",\"headers\":{\"X\":5}}", "setting headers: X must be a text"},
      {"[]", "settings: must be an object"},
  };
  struct sink *sink = shipped("rest_bulk");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct err err = {0};
    json_t *settings = settings_from(cases[i].settings);
    assert_null(sink_check_settings(sink, settings, &err));
    assert_string_equal(err.text, cases[i].why);
    json_decref(settings);
  }
  json_t *good =
      checked(sink, "{\"url\":\"HTTPS://[::1]:8443/x?y=1#z\",\"headers\":{\"X-A\":\"\"},\"token\":null}");
  assert_int_equal(json_integer_value(json_object_get(good, "max_records")), 3000);
  assert_string_equal(json_string_value(json_object_get(good, "format")), "array");
  assert_null(json_object_get(good, "token"));
  json_decref(good);
  sink_unref(sink);
}

static void assert_json(json_t *actual, const char *expected) {
  json_t *other = settings_from(expected);
  assert_true(json_equal(actual, other));
  json_decref(other);
  json_decref(actual);
}

static void masks_and_merges(void **state) {
  // Proves: secrets read as a mask, the mask sent back changes nothing, null takes away, and the original is
  // left alone.
  (void)state;
  struct sink *sink = shipped("rest");
  json_t *settings =
      settings_from("{\"url\":\"http://h/\",\"token\":\"s3cret\",\"username\":\"u\",\"password\":\"\"}");
  assert_json(sink_mask_settings(sink, settings),
              "{\"url\":\"http://h/\",\"token\":\"********\",\"username\":\"u\",\"password\":\"\"}");
  json_t *change =
      settings_from("{\"token\":\"********\",\"username\":null,\"url\":\"http://i/\",\"password\":\"p\"}");
  assert_json(sink_merge_settings(sink, settings, change),
              "{\"url\":\"http://i/\",\"token\":\"s3cret\",\"password\":\"p\"}");
  assert_string_equal(json_string_value(json_object_get(settings, "url")), "http://h/");
  json_decref(change);
  json_decref(settings);
  sink_unref(sink);
}

// ---- requests ----

static void rest_makes_a_request(void **state) {
  // Proves: the rest sink turns its settings into a request, the same at every call, and never asks for the
  // records.
  (void)state;
  struct bound b;
  open_bound(
      &b, shipped("rest"),
      "{\"url\":\"http://h/in\",\"method\":\"PUT\",\"auth\":\"bearer\",\"token\":\"tok\",\"timeout_s\":5,"
      "\"headers\":{\"X-A\":\"1\",\"Content-Type\":\"text/x\"},\"signing_secret\":\"whsec_YQ==\",\"ca\":\"/"
      "ca.pem\"}");
  items_asked = 0;
  for (int i = 0; i < 3; i++) {
    assert_true(request(&b));
    assert_string_equal(b.request.url, "http://h/in");
    assert_string_equal(b.request.method, "PUT");
    assert_string_equal(header(&b.request, "authorization"), "Bearer tok");
    assert_string_equal(header(&b.request, "x-a"), "1");
    assert_string_equal(header(&b.request, "content-type"), "text/x");
    assert_null(b.request.headers[3]);
    assert_true(b.request.webhook);
    assert_string_equal(b.request.signing_secret, "whsec_YQ==");
    assert_null(b.request.signing_secret_previous);
    assert_null(b.request.username);
    assert_string_equal(b.request.ca, "/ca.pem");
    assert_null(b.request.client_key);
    assert_int_equal(b.request.timeout_ms, 5000);
    assert_null(b.request.body.at);
    assert_false(b.request.gzip);
  }
  assert_int_equal(items_asked, 0);
  assert_int_equal(sink_binding_limits(b.binding)->framing, SINK_ONE);
  assert_int_equal(sink_binding_limits(b.binding)->records, 1);
  close_bound(&b);
}

static void bulk_frames_by_settings(void **state) {
  // Proves: two streams of one sink have their own framing, limits and headers.
  (void)state;
  struct bound b;
  open_bound(&b, shipped("rest_bulk"), "{\"url\":\"http://a/\"}");
  struct sink_binding *lines = bound_to(
      &b, "{\"url\":\"http://b/"
          "\",\"format\":\"ndjson\",\"max_records\":7,\"gzip\":true,\"auth\":\"basic\",\"username\":\"u\"}");
  assert_int_equal(sink_binding_limits(b.binding)->framing, SINK_ARRAY);
  assert_int_equal(sink_binding_limits(b.binding)->records, 3000);
  assert_int_equal(sink_binding_limits(lines)->framing, SINK_LINES);
  assert_int_equal(sink_binding_limits(lines)->records, 7);
  assert_true(sink_request(lines, &two, &b.request, &b.err));
  assert_string_equal(b.request.url, "http://b/");
  assert_string_equal(header(&b.request, "content-type"), "application/x-ndjson");
  assert_string_equal(b.request.username, "u");
  assert_null(b.request.password);
  assert_true(b.request.gzip);
  assert_true(request(&b));
  assert_string_equal(b.request.url, "http://a/");
  assert_string_equal(header(&b.request, "content-type"), "application/json");
  assert_null(b.request.username);
  sink_unbind(lines);
  close_bound(&b);
}

static void shows_the_batch(void **state) {
  // Proves: request sees every field of the batch, records as often as it likes, and can make a body of them.
  (void)state;
  struct bound b;
  open_bound(
      &b,
      load("local S = { api = 1, name = 't', framing = 'custom', settings = { { 'max_seconds', type = "
           "'number' } } }\n"
           "function S.request(batch, settings)\n"
           "  assert(batch.records == batch.records)\n"
           "  local out = {}\n"
           "  for i, r in ipairs(batch.records) do out[i] = (r.key or '-') .. r.body end\n"
           "  return { url = 'http://h/', method = 'PUT', body = table.concat(out, '|') .. batch.count .. "
           "batch.id ..\n"
           "    batch.kind .. batch.attempt .. batch.now .. batch.note .. type(batch.last_note) }\n"
           "end\nfunction S.probe(settings) return { url = 'http://p/', headers = { N = 5 } } end\nreturn S"),
      "{\"max_seconds\":0.5}");
  items_asked = 0;
  assert_true(request(&b));
  assert_int_equal(items_asked, 2);
  assert_true(slice_is(b.request.body, "k0{\"n\":0}|-{\"n\":1}2msg_1event31700000000123n1nil"));
  assert_true(request(&b));
  assert_int_equal(items_asked, 4);
  assert_int_equal(sink_binding_limits(b.binding)->hold_ms, 500);
  assert_true(sink_probe(b.binding, &b.request, &b.err));
  assert_string_equal(b.request.url, "http://p/");
  assert_string_equal(header(&b.request, "N"), "5");
  close_bound(&b);
}

static void refuses_bad_requests(void **state) {
  // Proves: what a request hook does wrong is named, with the line where there is one, and without any
  // secret.
  (void)state;
  static const struct {
    const char *source, *why;
  } cases[] = {
      {REQUEST("return 5"), "t.lua: request must return a table { url = ... }"},
      {REQUEST("return {}"), "t.lua: request: 'url' is missing"},
      {REQUEST("return { url = 'http://h/', metod = 'PUT' }"),
       "t.lua: request: unknown 'metod': did you mean 'method'?"},
      {REQUEST("return { url = 'http://h/', method = 'put' }"),
       "t.lua: request: 'method' must be capital letters, such as \"POST\""},
      {REQUEST("return { url = 'http://h/\\n' }"), "t.lua: request: 'url' has a control character in it"},
      {REQUEST("return { url = 'http://h/', headers = { X = 'a\\r\\nY: b' } }"),
       "t.lua: request: header 'X' has a control character in it"},
      {REQUEST("return { url = 'http://h/', headers = { ['a b'] = 'x' } }"),
       "t.lua: request: a header's name has a character that can't be in one"},
      {REQUEST("return { url = 'http://h/', headers = { X = {} } }"),
       "t.lua: request: header 'X' must be a text or a number"},
      {REQUEST("return { url = 'http://h/', body = 5 }"), "t.lua: request: 'body' must be a text"},
      {REQUEST("return { url = 'http://h/', timeout_s = 0 }"),
       "t.lua: request: 'timeout_s' must be seconds from 0.001 to 600"},
      {REQUEST("return { url = 'http://h/', webhook = { secert = 'x' } }"),
       "t.lua: request: webhook is true or { secret =, previous = }"},
      {REQUEST("\nlocal x = nil + 1"), "t.lua:4: attempt to perform arithmetic on a nil value"},
      {REQUEST("error('with ' .. settings.p .. ' and ' .. settings.h.A)"),
       "t.lua:3: with ******** and ********"},
      {REQUEST("return { url = batch.uid }"), "t.lua:3: a batch has no field 'uid'"},
      {REQUEST("batch.id = 5"), "t.lua:3: attempt to index local 'batch' (a userdata value)"},
      {REQUEST("batches = batch"), "t.lua:3: global 'batches' can't be assigned: use local"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct bound b;
    open_bound(&b, load(cases[i].source), "{\"p\":\"hunter2hunter2\",\"h\":{\"A\":\"Bearer xyzxyz\"}}");
    assert_false(request(&b));
    assert_string_equal(b.err.text, cases[i].why);
    close_bound(&b);
  }
}

static void goes_on_after_an_endless_hook(void **state) {
  // Proves: a hook that does not end is stopped, and the next call of any stream of that sink runs in a new
  // state.
  (void)state;
  struct bound b;
  open_bound(&b, load(REQUEST("while settings.p == 'loop' do end\nreturn { url = 'http://' .. settings.p }")),
             "{\"p\":\"loop\"}");
  struct sink_binding *other = bound_to(&b, "{\"p\":\"fine\"}");
  assert_true(sink_request(other, &two, &b.request, &b.err));
  assert_false(request(&b));
  assert_string_equal(b.err.text, "t.lua:3: took longer than 50 ms");
  b.err = (struct err){0};
  assert_true(sink_request(other, &two, &b.request, &b.err));
  assert_string_equal(b.request.url, "http://fine");
  assert_false(request(&b));
  sink_unbind(other);
  close_bound(&b);
}

static void batch_holds_for_its_call(void **state) {
  // Proves: a batch kept past its call is an error and nothing worse.
  (void)state;
  struct bound b;
  open_bound(&b,
             load("local kept\nlocal S = { api = 1, name = 't' }\n"
                  "function S.request(batch) kept = batch return { url = batch.id } end\n"
                  "function S.probe() return { url = kept.id } end\nreturn S"),
             "{}");
  assert_true(request(&b));
  assert_false(sink_probe(b.binding, &b.request, &b.err));
  assert_string_equal(b.err.text, "t.lua:4: a batch holds only for the call it was given to");
  close_bound(&b);
}

static void has_primitives(void **state) {
  // Proves: base64, sha256 and hmac_sha256 give the values of the standards (RFC 4648, FIPS 180, RFC 4231),
  // json.encode is there.
  (void)state;
  struct bound b;
  open_bound(
      &b,
      load(REQUEST(
          "return { url = base64('foob'), body = sha256('abc') .. '|' ..\n"
          "hmac_sha256('Jefe', 'what do ya want for nothing?') .. '|' ..\n"
          "hmac_sha256('Jefe', 'what do ya want for nothing?', 'base64') .. json.encode({ a = 1 }) }")),
      "{}");
  assert_true(request(&b));
  assert_string_equal(b.request.url, "Zm9vYg==");
  assert_true(slice_is(b.request.body, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad|"
                                       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843|"
                                       "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM={\"a\":1}"));
  close_bound(&b);
}

// ---- verdicts ----

static void reads_verdicts(void **state) {
  // Proves: each form of a verdict is understood, and a wrong one is an error in words.
  (void)state;
  struct bound b;
  open_bound(&b,
             load("local S = { api = 1, name = 't' }\nfunction S.request() return { url = 'http://h/' } end\n"
                  "function S.verdict(response, batch, settings)\n"
                  "  local v = {\n"
                  "    [200] = { 'delivered' }, [201] = { 'retry', 2.5 }, [202] = { 'retry' }, [203] = { "
                  "'reject', 'bad\\n' .. response.body },\n"
                  "    [204] = { 'pause', 'why' }, [205] = { 'again', 'file\\t7' }, [206] = { 'halve' }, "
                  "[207] = { 'maybe' },\n"
                  "    [208] = { { 'delivered', { 'reject', 'r' } } }, [209] = { { 'delivered' } }, [210] = "
                  "{ { 'delivered', 'pause' } },\n"
                  "    [211] = { 'retry', response.retry_after }, [212] = { 'retry', 'soon' }, [0] = { "
                  "'pause', response.error },\n"
                  "    [213] = { { { 'retry', 1 }, 'delivered' } },\n"
                  "  }\n"
                  "  local found = v[response.status]\n"
                  "  if found then return found[1], found[2] end\n"
                  "end\nreturn S"),
             "{}");
  static const struct {
    int status;
    enum sink_verdict_kind kind;
    double seconds;
    const char *why;
  } cases[] = {
      {200, SINK_DELIVERED, -1, ""},   {201, SINK_RETRY, 2.5, ""},   {202, SINK_RETRY, -1, ""},
      {203, SINK_REJECT, -1, "bad x"}, {204, SINK_PAUSE, -1, "why"}, {205, SINK_AGAIN, -1, "file\t7"},
      {206, SINK_HALVE, -1, ""},       {211, SINK_RETRY, 7, ""},     {0, SINK_PAUSE, -1, "broke off"},
      {500, SINK_DEFAULT, -1, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_true(verdict(&b, cases[i].status, "x"));
    assert_int_equal(b.verdict.kind, cases[i].kind);
    assert_true(b.verdict.seconds == cases[i].seconds);
    assert_string_equal(b.verdict.why, cases[i].why);
    assert_null(b.verdict.each);
  }
  assert_true(verdict(&b, 208, ""));
  assert_int_equal(b.verdict.each[0].kind, SINK_DELIVERED);
  assert_int_equal(b.verdict.each[1].kind, SINK_REJECT);
  assert_string_equal(b.verdict.each[1].why, "r");
  assert_true(verdict(&b, 213, ""));
  assert_true(b.verdict.each[0].kind == SINK_RETRY && b.verdict.each[0].seconds == 1);
  assert_false(verdict(&b, 207, ""));
  assert_string_equal(
      b.err.text,
      "t.lua: verdict: must be nil, \"delivered\", \"retry\", \"reject\", \"pause\", \"again\" or a list");
  assert_false(verdict(&b, 209, ""));
  assert_string_equal(b.err.text, "t.lua: verdict: a list of 1 for 2 records");
  assert_false(verdict(&b, 210, ""));
  assert_string_equal(b.err.text, "t.lua: verdict: of a record it is \"delivered\", \"retry\" or \"reject\"");
  assert_false(verdict(&b, 212, ""));
  assert_string_equal(b.err.text, "t.lua: verdict: \"retry\" takes a number of seconds");
  close_bound(&b);
}

static void without_verdict_hook_it_is_the_default(void **state) {
  // Proves: a sink without verdict() leaves the judgement to the engine.
  (void)state;
  struct bound b;
  open_bound(&b, shipped("rest"), "{\"url\":\"http://h/\"}");
  assert_true(verdict(&b, 200, ""));
  assert_int_equal(b.verdict.kind, SINK_DEFAULT);
  close_bound(&b);
}

static void holds_many_streams(void **state) {
  // Proves: 3,000 streams of one sink live in one state, each with its own settings, and all of it is given
  // back.
  (void)state;
  enum { COUNT = 3000 };
  struct bound b;
  static struct sink_binding *bindings[COUNT];
  char settings[100];
  open_bound(&b, shipped("rest"), "{\"url\":\"http://h/\"}");
  for (int i = 0; i < COUNT; i++) {
    snprintf(settings, sizeof settings, "{\"url\":\"http://h/%d\"}", i);
    bindings[i] = bound_to(&b, settings);
    assert_non_null(bindings[i]);
  }
  for (int i = 0; i < COUNT; i++) {
    snprintf(settings, sizeof settings, "http://h/%d", i);
    assert_true(sink_request(bindings[i], &two, &b.request, &b.err));
    assert_string_equal(b.request.url, settings);
  }
  for (int i = 0; i < COUNT; i++)
    sink_unbind(bindings[i]);
  close_bound(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_file),
      cmocka_unit_test(refuses_files_in_words),
      cmocka_unit_test(loads_a_folder),
      cmocka_unit_test(checks_settings),
      cmocka_unit_test(masks_and_merges),
      cmocka_unit_test(rest_makes_a_request),
      cmocka_unit_test(bulk_frames_by_settings),
      cmocka_unit_test(shows_the_batch),
      cmocka_unit_test(refuses_bad_requests),
      cmocka_unit_test(goes_on_after_an_endless_hook),
      cmocka_unit_test(batch_holds_for_its_call),
      cmocka_unit_test(has_primitives),
      cmocka_unit_test(reads_verdicts),
      cmocka_unit_test(without_verdict_hook_it_is_the_default),
      cmocka_unit_test(holds_many_streams),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
