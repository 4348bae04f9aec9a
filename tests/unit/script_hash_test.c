// Proves that hash(text, key) is HMAC-SHA256, cut, that absent fields stay absent, and that nothing hashed
// takes longer than a call may.
#include "script_support.h"

#include "base/limits.h"

// RFC 4231, the first 128 bits: cases 1, 2, and 6 with a key longer than a block.
static void it_is_hmac_sha256(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { hash('Hi There', ('\\11'):rep(20)) }", "[\"b0344c61d8db38535ca8afceaf0bf12b\"]"},
      {"return { hash('what do ya want for nothing?', 'Jefe') }", "[\"5bdcc146bf60754e6a042426089575c7\"]"},
      {"return { hash('Test Using Larger Than Block-Size Key - Hash Key First', ('\\170'):rep(131)) }",
       "[\"60e431591ee0b67f0d8a26aacbf5b77f\"]"},
      {"local long = ('x'):rep(10000) return { hash(long, 'k') == hash(long, 'k'), "
       "hash(long, 'k') == hash(long .. 'x', 'k'), hash(long, 'k') == hash(long, 'q'), #hash('', 'k') }",
       "[true,false,false,32]"},
  };
  RUN_BODIES(cases);
}

static void a_number_is_its_digits(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { hash(rec.id, 'k') == hash('174000001', 'k'), hash(rec.cost, 'k') == hash('0.008531', 'k') }",
       "[true,true]"},
      {"return { hash(rec.huge, 'k') == hash('18446744073709551616', 'k') }", "[true]"},
      {"return { hash(rec.small, 'k') == hash('-9007199254740993', 'k') }", "[true]"},
  };
  RUN_BODIES(cases);
}

static void absent_stays_absent_and_the_rest_is_an_error(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { a = hash(nil, 'k'), b = hash(rec.endpoint.name, 'k'), c = hash(get(rec, 'no.such'), 'k') }",
       "{}"},
      {"return { hash(rec.endpoint, 'k') }", "failed: 1: hash: takes a text or a number, not table"},
      {"return { hash(true, 'k') }", "failed: 1: hash: takes a text or a number, not boolean"},
      {"return { hash(null, 'k') }", "failed: 1: hash: takes a text or a number, not null"},
      {"return { hash('x') }", "failed: 1: hash: the key must be a text, not nil"},
      {"return { hash() }", "failed: 1: hash: the key must be a text, not nil"},
      {"return { hash('x', 5) }", "failed: 1: hash: the key must be a text, not number"},
      {"return { hash(nil, rec.endpoint) }", "failed: 1: hash: the key must be a text, not table"},
      {"return { hash('x', '') }", "failed: 1: hash: the key is empty"},
      {"return { #hash('x', ('k'):rep(1024)) }", "[32]"},
      {"return { hash('x', ('k'):rep(1025)) }", "failed: 1: hash: the key is longer than 1024 bytes"},
  };
  RUN_BODIES(cases);
}

static void hashing_ends_in_time(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"while true do hash('x', 'k') end", "timeout: 1: took longer than 50 ms"},
      {"local long = ('x'):rep(2 ^ 20) for i = 1, 1e6 do pcall(hash, long, 'k') end",
       "timeout: 1: took longer than 50 ms"},
  };
  RUN_BODIES(cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_hmac_sha256),
      cmocka_unit_test(a_number_is_its_digits),
      cmocka_unit_test(absent_stays_absent_and_the_rest_is_an_error),
      cmocka_unit_test(hashing_ends_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
