// sink_settings_test.c - proves that a stream's settings are checked, masked and merged as its sink declares
// them.
#include "sink_support.h"

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
      {"{\"url\":\"http://h/\",\"headers\":{\"Content-encoding\":\"br\"}}",
       "setting headers: Content-encoding is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"User-Agent\":\"x\"}}",
       "setting headers: User-Agent is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"Upgrade\":\"x\"}}",
       "setting headers: Upgrade is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"TE\":\"x\"}}", "setting headers: TE is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"keep-alive\":\"x\"}}",
       "setting headers: keep-alive is a header of the engine's own"},
      {"{\"url\":\"http://h/\",\"headers\":{\"AUTHORIZATION\":\"x\"},\"auth\":\"basic\",\"username\":\"u\"}",
       "setting headers: AUTHORIZATION is made from auth: leave one of them out"},
      {"{\"url\":\"http://h/\",\"headers\":{\"Authorization\":\"x\"},\"auth\":\"bearer\",\"token\":\"t\"}",
       "setting headers: Authorization is made from auth: leave one of them out"},
      {"{\"url\":\"http://h/\",\"auth\":\"basic\",\"username\":\"a:b\"}",
       "setting username: must not contain a colon, which ends it in basic authentication"},
      {"{\"url\":\"http://h/\",\"signing_secret\":\"whsec_!!!\"}",
       "setting signing_secret: the signing secret is not base64 behind \"whsec_\" (of at most 512 bytes)"},
      {"{\"url\":\"http://h/\",\"signing_secret\":\"whsec_\"}",
       "setting signing_secret: the signing secret is empty"},
      {"{\"url\":\"http://h/\",\"signing_secret\":\"s\",\"signing_secret_previous\":\"whsec_a\"}",
       "setting signing_secret_previous: the signing secret is not base64 behind \"whsec_\" (of at most 512 bytes)"},
      {"{\"url\":\"http://h/\",\"signing_secret_previous\":\"s\"}",
       "setting signing_secret_previous: needs signing_secret, which signs as well"},
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
  json_decref(checked(sink, "{\"url\":\"http://h/\",\"headers\":{\"Authorization\":\"own\"},\"username\":\"a:b\"}"));
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(checks_settings),
      cmocka_unit_test(masks_and_merges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
