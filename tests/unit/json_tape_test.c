// Proves that the tape takes exactly what RFC 8259 allows, says where the rest is wrong, and finds and reads
// what is in a text.
#include "base/buf.h"
#include "base/json_tape.h"
#include "base/limits.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "json_cases.h"
#include "json_support.h"

// The text, moved so that it ends where a page without access begins: a read past it ends the test.
struct edge {
  char *pages;
  size_t bytes;
};

static struct edge edge_new(void) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(pages != MAP_FAILED);
  assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
  return (struct edge){pages, page};
}

static struct slice edge_put(const struct edge *e, struct slice text) {
  assert_true(text.len <= e->bytes);
  char *at = e->pages + e->bytes - text.len;
  memcpy(at, text.at, text.len);
  return slice_make(at, text.len);
}

static void edge_free(struct edge *e) {
  munmap(e->pages, 2 * e->bytes);
}

static void valid_texts_are_taken(void **state) { // at the end of a page, so that reading past the text shows
  (void)state;
  struct edge e = edge_new();
  struct json_tape t;
  json_tape_init(&t);
  for (size_t i = 0; i < sizeof valid_cases / sizeof *valid_cases; i++) {
    struct json_fault fault;
    struct slice text = edge_put(&e, slice_make(valid_cases[i].text, valid_cases[i].len));
    if (!json_tape_parse(&t, text, &fault))
      fail_msg("%s: %s at %zu", valid_cases[i].text, fault.what, fault.at);
    assert_int_equal(fault.kind, JSON_OK);
    assert_int_equal(t.entries[0].next, t.count);
    size_t used;
    assert_true(json_tape_parse_first(&t, text, &used, &fault));
    assert_int_equal(json_skip(text), used);
  }
  json_tape_fini(&t);
  edge_free(&e);
}

static void invalid_texts_are_refused_where_they_go_wrong(void **state) {
  (void)state;
  struct edge e = edge_new();
  struct json_tape t;
  json_tape_init(&t);
  for (size_t i = 0; i < sizeof invalid_cases / sizeof *invalid_cases; i++) {
    const struct invalid_case *c = &invalid_cases[i];
    struct json_fault fault;
    if (json_tape_parse(&t, edge_put(&e, slice_make(c->text, c->len)), &fault))
      fail_msg("taken: %s", c->text);
    assert_int_equal(fault.kind, JSON_BROKEN);
    assert_non_null(fault.what);
    if (fault.at != c->at) fail_msg("%s: wrong at %zu, said %zu (%s)", c->text, c->at, fault.at, fault.what);
  }
  json_tape_fini(&t);
  edge_free(&e);
}

static void every_truncation_is_broken_at_its_end(void **state) {
  (void)state;
  struct edge e = edge_new();
  struct json_tape t;
  json_tape_init(&t);
  for (size_t len = 0; len < sizeof json_sample - 1; len++) {
    struct json_fault fault;
    struct slice text = edge_put(&e, slice_make(json_sample, len));
    assert_false(json_tape_parse(&t, text, &fault));
    assert_int_equal(fault.kind, JSON_BROKEN);
    assert_int_equal(fault.at, len);
    assert_int_equal(json_skip(text), 0);
  }
  json_tape_fini(&t);
  edge_free(&e);
}

// Every byte from 0 to 255 at every place of a long string: alignment of the vector scan, control characters,
// quotes.
static void a_byte_counts_wherever_it_stands(void **state) {
  (void)state;
  struct edge e = edge_new();
  struct json_tape t;
  json_tape_init(&t);
  for (size_t place = 1; place < 138; place++)
    for (int byte = 0; byte < 256; byte++) {
      char text[140];
      memset(text, 'x', sizeof text);
      text[0] = text[139] = '"';
      text[place] = (char)byte;
      struct json_fault fault;
      bool taken = json_tape_parse(&t, edge_put(&e, slice_make(text, sizeof text)), &fault);
      assert_int_equal(taken, byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\');
      size_t wrong = byte == '"' || byte == '\\' || byte >= 0xc2 ? place + 1 : place;
      if (byte > 0xf4) wrong = place;
      if (!taken) assert_int_equal(fault.at, wrong);
    }
  json_tape_fini(&t);
  edge_free(&e);
}

// Strings that begin, end and escape at every place of the scanned blocks, behind white space that stops the
// scan, too.
static void strings_are_found_wherever_they_stand(void **state) {
  (void)state;
  static const char text[] = "[\"\",\"ab\\\"c\",\n\t{\"k\xe2\x82\xac\":\"\\\\\" , "
                             "\"0123456789\":-1.5}\r\n,[\"x\"\n,\"y\"],\"\\u0041\"]";
  static const char *const want[] = {"",  "ab\\\"c", "k\xe2\x82\xac", "\\\\", "0123456789",
                                     "x", "y",       "\\u0041"};
  struct edge e = edge_new();
  struct json_tape t;
  json_tape_init(&t);
  for (size_t pad = 0; pad < 130; pad++)
    for (int filler = 0; filler < 2; filler++) {
      struct json_fault fault;
      char padded[300];
      memset(padded, filler ? '\n' : ' ', pad + 1);
      padded[0] = '[';
      memcpy(padded + pad + 1, text, sizeof text - 1);
      padded[pad + sizeof text] = ']';
      assert_true(json_tape_parse(&t, edge_put(&e, slice_make(padded, pad + sizeof text + 1)), &fault));
      size_t found = 0;
      for (uint32_t i = 0; i < t.count; i++) {
        enum json_kind kind = json_kind_of(&t, i);
        if (kind != TAPE_STRING && kind != TAPE_ESCAPED) continue;
        assert_true(slice_is(json_inner(&t, i), want[found++]));
        assert_int_equal(kind == TAPE_ESCAPED,
                         memchr(json_inner(&t, i).at, '\\', json_inner(&t, i).len) != NULL);
      }
      assert_int_equal(found, 8);
    }
  json_tape_fini(&t);
  edge_free(&e);
}

// Every lead byte with every second byte, by the Unicode standard's own arithmetic.
static void utf8_is_checked_by_code_point(void **state) {
  (void)state;
  struct json_tape t;
  json_tape_init(&t);
  for (unsigned lead = 0x80; lead < 256; lead++)
    for (unsigned second = 0; second < 256; second++)
      for (size_t len = 2; len <= 4; len++) {
        unsigned char text[6] = {'"', (unsigned char)lead, (unsigned char)second, 0x80, 0xbf, 0};
        text[len + 1] = '"';
        uint32_t code = len == 2 ? lead & 0x1f : len == 3 ? lead & 0xf : lead & 7;
        code = (code << 6 | (second & 0x3f)) << (6 * (len - 2)) | (len == 4 ? 0x3f : 0);
        bool formed = (second & 0xc0) == 0x80 && (len == 2   ? (lead & 0xe0) == 0xc0
                                                  : len == 3 ? (lead & 0xf0) == 0xe0
                                                             : (lead & 0xf8) == 0xf0);
        uint32_t least = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
        bool right = formed && code >= least && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
        struct json_fault fault;
        assert_int_equal(json_tape_parse(&t, slice_make(text, len + 2), &fault), right);
      }
  json_tape_fini(&t);
}

static void
entries_lie_in_the_order_of_the_text(void **state) { // and `next` jumps behind a value and all in it
  (void)state;
  struct json_tape t = json_parsed(" {\"a\":[1,{\"b\":null}],\"c\":\"x\\n\"} ");
  static const struct {
    uint32_t at, len, next;
    enum json_kind kind;
    uint32_t count;
  } want[] = {
      {1, 30, 9, TAPE_OBJECT, 2}, {3, 1, 2, TAPE_STRING, 0},  {6, 14, 7, TAPE_ARRAY, 2},
      {7, 1, 4, TAPE_INTEGER, 0}, {9, 10, 7, TAPE_OBJECT, 1}, {11, 1, 6, TAPE_STRING, 0},
      {14, 4, 7, TAPE_NULL, 0},   {22, 1, 8, TAPE_STRING, 0}, {26, 3, 9, TAPE_ESCAPED, 0},
  };
  assert_int_equal(t.count, sizeof want / sizeof *want);
  for (uint32_t i = 0; i < t.count; i++) {
    assert_int_equal(t.entries[i].at, want[i].at);
    assert_int_equal(t.entries[i].len, want[i].len);
    assert_int_equal(t.entries[i].next, want[i].next);
    assert_int_equal(t.entries[i].kind, want[i].kind);
    assert_int_equal(t.entries[i].count, want[i].count);
  }
  assert_true(slice_is(json_raw(&t, 8), "\"x\\n\""));
  assert_true(slice_is(json_raw(&t, 4), "{\"b\":null}"));
  assert_true(slice_is(json_inner(&t, 8), "x\\n"));
  json_tape_fini(&t);
}

static void an_array_is_walked_value_by_value_with_one_tape(void **state) {
  (void)state;
  static const char body[] = "[ {\"id\":1} , [2,[]],\"x\" ,4 ]";
  static const char *const want[] = {"{\"id\":1}", "[2,[]]", "\"x\"", "4"};
  struct json_tape t;
  struct json_fault fault;
  json_tape_init(&t);
  size_t place = 1, used;
  for (int i = 0; i < 4; i++) {
    assert_true(json_tape_parse_first(&t, slice_make(body + place, sizeof body - 1 - place), &used, &fault));
    assert_true(slice_is(json_raw(&t, 0), want[i]));
    assert_ptr_equal(json_raw(&t, 0).at + json_raw(&t, 0).len, body + place + used);
    place += used;
    while (body[place] == ' ')
      place++;
    assert_int_equal(body[place], i < 3 ? ',' : ']');
    place++;
  }
  json_tape_fini(&t);
}

static enum json_fault_kind fault_of(struct json_tape *t, const char *text, size_t *at_byte) {
  struct json_fault fault;
  size_t used;
  json_tape_parse_first(t, slice_of(text), &used, &fault);
  *at_byte = fault.at;
  return fault.kind;
}

static void a_value_longer_than_allowed_says_so(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t max;
    enum json_fault_kind kind;
  } cases[] = {
      {"   12345   ", 5, JSON_OK},
      {"   123456", 5, JSON_TOO_LONG},
      {"12345.5", 5, JSON_TOO_LONG},
      {"12345e5", 5, JSON_TOO_LONG},
      {"12345]", 5, JSON_OK},
      {"[1,2]", 5, JSON_OK},
      {"[1,23]", 5, JSON_TOO_LONG},
      {"\"abc\"", 5, JSON_OK},
      {"\"abcd\"", 5, JSON_TOO_LONG},
      {"true", 4, JSON_OK},
      {"true", 3, JSON_TOO_LONG},
      {"{\"a\":1}", 6, JSON_TOO_LONG},
      {"[1,x]", 4, JSON_BROKEN},
      {"\"\\u00e9\"", 5, JSON_TOO_LONG},
      {"\"\xe2\x82\xac\"", 3, JSON_TOO_LONG},
      {"[1,2", 5, JSON_BROKEN},
      {"-", 5, JSON_BROKEN},
      {"1.5", 2, JSON_TOO_LONG},
  };
  struct json_tape t;
  size_t where;
  json_tape_init(&t);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    t.max_bytes = cases[i].max;
    if (fault_of(&t, cases[i].text, &where) != cases[i].kind) fail_msg("%s", cases[i].text);
  }
  t.max_bytes = 0;
  char *text = malloc(LIMIT_RECORD_BYTES + 2);
  memset(text, '7', LIMIT_RECORD_BYTES + 1);
  text[LIMIT_RECORD_BYTES + 1] = 0;
  assert_int_equal(fault_of(&t, text, &where), JSON_TOO_LONG);
  assert_int_equal(fault_of(&t, text + 1, &where), JSON_OK);
  free(text);
  json_tape_fini(&t);
}

static void nest(struct buf *b, const char *open, const char *inner, const char *close, size_t depth) {
  b->len = 0;
  for (size_t i = 0; i < depth; i++)
    buf_append_text(b, open);
  buf_append_text(b, inner);
  for (size_t i = 0; i < depth; i++)
    buf_append_text(b, close);
}

static void depth_ends_at_its_limit(void **state) {
  (void)state;
  struct json_tape t;
  struct buf b;
  size_t where;
  json_tape_init(&t);
  buf_init(&b, 4 << 20);
  nest(&b, "[", "", "]", LIMIT_JSON_DEPTH);
  assert_int_equal(fault_of(&t, buf_text(&b), &where), JSON_OK);
  nest(&b, "[", "", "]", LIMIT_JSON_DEPTH + 1);
  assert_int_equal(fault_of(&t, buf_text(&b), &where), JSON_TOO_DEEP);
  assert_int_equal(where, LIMIT_JSON_DEPTH);
  nest(&b, "{\"a\":", "1", "}", 500000);
  assert_int_equal(fault_of(&t, buf_text(&b), &where), JSON_TOO_DEEP);
  nest(&b, "[", "", "]", 100000); // no recursion: a high limit is only memory
  t.max_depth = 100000;
  assert_int_equal(fault_of(&t, buf_text(&b), &where), JSON_OK);
  assert_int_equal(t.count, 100000);
  assert_int_equal(json_skip(buf_slice(&b)), b.len);
  t.max_depth = 2;
  assert_int_equal(fault_of(&t, "[[1],{\"a\":1},[[]]]", &where), JSON_TOO_DEEP);
  assert_int_equal(where, 14);
  buf_fini(&b);
  json_tape_fini(&t);
}

static void no_memory_refuses_the_text_and_keeps_the_tape(void **state) {
  (void)state;
  struct buf b;
  struct json_tape t;
  struct json_fault fault;
  buf_init(&b, 1 << 20);
  json_tape_init(&t);
  buf_append_text(&b, "[0");
  for (int i = 0; i < 1000; i++)
    buf_append_text(&b, ",{\"a\":1}");
  buf_append_text(&b, "]");
  for (long nth = 1;; nth++) {
    mem_fail_at(nth);
    bool taken = json_tape_parse(&t, buf_slice(&b), &fault);
    long asked = mem_asked();
    mem_fail_at(0);
    if (taken) {
      assert_true(nth > 1);
      assert_true(asked < nth);
      break;
    }
    assert_int_equal(fault.kind, JSON_NO_MEMORY);
    assert_true(json_tape_parse(&t, slice_of("[1]"), &fault) || t.cap == 0);
  }
  mem_fail_at(1); // room from before is enough
  assert_true(json_tape_parse(&t, buf_slice(&b), &fault));
  mem_fail_at(0);
  assert_int_equal(t.entries[0].count, 1001);
  json_tape_fini(&t);
  buf_fini(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(valid_texts_are_taken),
      cmocka_unit_test(invalid_texts_are_refused_where_they_go_wrong),
      cmocka_unit_test(every_truncation_is_broken_at_its_end),
      cmocka_unit_test(a_byte_counts_wherever_it_stands),
      cmocka_unit_test(strings_are_found_wherever_they_stand),
      cmocka_unit_test(utf8_is_checked_by_code_point),
      cmocka_unit_test(entries_lie_in_the_order_of_the_text),
      cmocka_unit_test(an_array_is_walked_value_by_value_with_one_tape),
      cmocka_unit_test(a_value_longer_than_allowed_says_so),
      cmocka_unit_test(depth_ends_at_its_limit),
      cmocka_unit_test(no_memory_refuses_the_text_and_keeps_the_tape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
