// Proves that a request's length is told by its head as evhttp will read it, or not at all.
#include "net/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// In memory of its own length, so that a sanitizer sees reading past it.
static size_t bytes_of(const char *text) {
  size_t len = strlen(text);
  char *exact = malloc(len + !len);
  assert_non_null(exact);
  memcpy(exact, text, len);
  size_t body = 1, bytes = http_head_request_bytes(exact, len, &body);
  free(exact);
  assert_true(bytes ? body > 0 && body < bytes : body == 0);
  return bytes;
}

static void lengths_are_told(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t body; // 0: not told
  } cases[] = {
      {"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 70000},
      {"POST / HTTP/1.1\nhost: h\ncontent-length:70000\n\n", 70000},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 1},
      {"POST / HTTP/1.1\r\nContent-Length: 70000\r\n", 0},
      {"POST / HTTP/1.1\r\nContent-Length: 70000", 0},
      {"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 0},
      {"POST / HTTP/1.1\r\nContent-Length:\n\n", 0},
      {"POST / HTTP/1.1\r\nContent-Length: \t5\r\n\r\n", 0},
      {"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 0},
      {"POST / HTTP/1.1\r\nContent-Lengths: 5\r\n\r\n", 0},
      {"POST / HTTP/1.1\r\nX: y\r\n Content-Length: 5\r\n\r\n", 0},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 0},
      {"POST / HTTP/1.1\r\nContent-Length: 5\r\ntransfer-encoding:chunked\r\n\r\n", 0},
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 0},
      {"", 0},
      {"\r\n", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t expected = cases[i].body ? strlen(cases[i].text) + cases[i].body : 0;
    if (bytes_of(cases[i].text) != expected) fail_msg("case %zu: %zu", i, bytes_of(cases[i].text));
  }
}

static void what_is_behind_the_head_does_not_count(void **state) {
  (void)state;
  const char *text = "POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\nContent-Length: 99\r\n\r\n";
  assert_int_equal(bytes_of(text), strlen("POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n") + 30);
}

static void a_length_beyond_all_does_not_wrap(void **state) {
  (void)state;
  const char *text = "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999999999999\r\n\r\n";
  assert_true(bytes_of(text) > SIZE_MAX / 32);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lengths_are_told),
      cmocka_unit_test(what_is_behind_the_head_does_not_count),
      cmocka_unit_test(a_length_beyond_all_does_not_wrap),
  };
  return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
