// sink_request_test.c - proves that request hooks see their batch, that what they return is taken or refused
// in words, and that nothing a hook does outlives its call.
#include "sink_support.h"

#include "base/mem.h"

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

// A sink with all groups of standard settings, whose request is `body`.
#define STANDARD(body)                                                                                       \
  "local S = { api = 1, name = 't', settings = { 'headers', 'auth', 'signing', 'timeout_s', 'tls' } }\n"     \
  "function S.request(batch, settings) return { url = 'http://h/', " body " } end\n"                         \
  "function S.probe(settings) return { url = 'http://p/' } end\nreturn S"

static void standard_settings_are_put_in_each_request(void **state) {
  // Proves: what the engine applies does not depend on the hook, and not on which hook it is.
  (void)state;
  struct bound b;
  open_bound(&b, load(STANDARD("method = 'PUT'")),
             "{\"headers\":{\"X-A\":\"1\"},\"auth\":\"bearer\",\"token\":\"tok\","
             "\"username\":\"u\",\"signing_secret\":\"s\",\"signing_secret_previous\":\"p\",\"timeout_s\":7,"
             "\"ca\":\"/ca\",\"client_certificate\":\"/cert\",\"client_key\":\"/key\"}");
  for (int i = 0; i < 2; i++) {
    assert_true(i ? sink_probe(b.binding, &b.request, &b.err) : request(&b));
    assert_string_equal(header(&b.request, "x-a"), "1");
    assert_string_equal(header(&b.request, "authorization"), "Bearer tok");
    assert_null(b.request.headers[2]);
    assert_null(b.request.username); // of the other kind of authentication
    assert_true(b.request.webhook);
    assert_string_equal(b.request.signing_secret, "s");
    assert_string_equal(b.request.signing_secret_previous, "p");
    assert_int_equal(b.request.timeout_ms, 7000);
    assert_string_equal(b.request.ca, "/ca");
    assert_string_equal(b.request.client_certificate, "/cert");
    assert_string_equal(b.request.client_key, "/key");
  }
  close_bound(&b);
}

static void what_the_hook_says_itself_stands(void **state) {
  // Proves: a hook's own credentials, signature and time stand as a whole; of headers the user's stand.
  (void)state;
  struct bound b;
  open_bound(&b,
             load(STANDARD("username = 'me', webhook = { secret = 'mine' }, timeout_s = 2, headers = { "
                           "['X-a'] = 'own', ['X-B'] = 'own' }")),
             "{\"headers\":{\"x-A\":\"theirs\"},\"auth\":\"basic\",\"username\":\"u\",\"password\":\"pw\","
             "\"signing_secret\":\"s\",\"signing_secret_previous\":\"p\"}");
  assert_true(request(&b));
  assert_string_equal(b.request.username, "me");
  assert_null(b.request.password);
  assert_string_equal(b.request.signing_secret, "mine");
  assert_null(b.request.signing_secret_previous);
  assert_int_equal(b.request.timeout_ms, 2000);
  assert_string_equal(header(&b.request, "x-a"), "theirs");
  assert_string_equal(header(&b.request, "X-B"), "own");
  assert_null(b.request.headers[2]);
  close_bound(&b);
}

static void too_many_headers_are_refused(void **state) {
  // Proves: the hook's and the user's together have a limit, and at the limit they fit.
  (void)state;
  for (int count = 63; count <= 64; count++) {
    struct bound b;
    char source[1000];
    snprintf(
        source, sizeof source,
        "local S = { api = 1, name = 't', settings = { 'headers' } }\nfunction S.request()\n  local h = {}\n"
        "  for i = 1, %d do h['x-' .. i] = i end\n  return { url = 'http://h/', headers = h }\nend\nreturn S",
        count);
    open_bound(&b, load(source), "{\"headers\":{\"Y\":\"1\"}}");
    assert_int_equal(request(&b), count == 63);
    if (count == 64) assert_string_equal(b.err.text, "more than 64 headers");
    assert_false(b.request.passing);
    close_bound(&b);
  }
}

static void without_memory_or_time_it_may_go_well_another_time(void **state) {
  // Proves: the nth allocation of binding and request fails: no half a request, no leak, and the caller can
  // tell a want that passes from a mistake that stays.
  (void)state;
  struct bound b;
  long failures = 0;
  bool reached = true;
  open_bound(&b, shipped("rest"),
             "{\"url\":\"http://first/\"}"); // LuaJIT does not survive the want of memory for a new state
  json_t *values = checked(
      b.sink, "{\"url\":\"http://h/\",\"headers\":{\"X-A\":\"1\"},\"auth\":\"basic\",\"username\":\"u\"}");
  char *settings = json_dumps(values, JSON_COMPACT);
  for (long nth = 1; reached; nth++) {
    b.err = (struct err){0};
    mem_fail_at(nth);
    struct sink_binding *other = sink_bind(b.runner, b.sink, slice_of(settings), &b.err);
    bool ok = other && sink_request(other, &two, &b.request, &b.err);
    reached = mem_asked() >= nth;
    mem_fail_at(0);
    assert_int_equal(ok, !b.err.text[0]);
    if (other && !ok) assert_true(b.request.passing && sink_request(other, &two, &b.request, &b.err));
    if (other) assert_string_equal(header(&b.request, "x-a"), "1");
    failures += !ok;
    sink_unbind(other);
  }
  assert_true(failures > 1);
  json_decref(values);
  free(settings);
  close_bound(&b);
  open_bound(&b, load(REQUEST("while settings.p == 'loop' do end\nreturn {}")), "{\"p\":\"loop\"}");
  assert_false(request(&b));
  assert_true(b.request.passing); // time was short
  close_bound(&b);
  open_bound(&b, load(REQUEST("return {}")), "{}");
  assert_false(request(&b));
  assert_false(b.request.passing);
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
      cmocka_unit_test(rest_makes_a_request),
      cmocka_unit_test(standard_settings_are_put_in_each_request),
      cmocka_unit_test(what_the_hook_says_itself_stands),
      cmocka_unit_test(too_many_headers_are_refused),
      cmocka_unit_test(without_memory_or_time_it_may_go_well_another_time),
      cmocka_unit_test(bulk_frames_by_settings),
      cmocka_unit_test(shows_the_batch),
      cmocka_unit_test(refuses_bad_requests),
      cmocka_unit_test(goes_on_after_an_endless_hook),
      cmocka_unit_test(batch_holds_for_its_call),
      cmocka_unit_test(has_primitives),
      cmocka_unit_test(holds_many_streams),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
