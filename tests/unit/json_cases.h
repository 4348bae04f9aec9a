// json_cases.h - texts that RFC 8259 makes sure, or that json_tape.h decides: taken ones, and refused ones with the first byte
// that can't be right.
#pragma once
#include <stddef.h>

struct valid_case {
  const char *text;
  size_t len;
};

struct invalid_case {
  const char *text;
  size_t len;
  size_t at;
};

#define YES(text) {text, sizeof text - 1}
#define NO(at, text) {text, sizeof text - 1, at}

static const struct valid_case valid_cases[] = {
    // Any value may be the whole text.
    YES("null"), YES("true"), YES("false"), YES("0"), YES("\"\""), YES("[]"), YES("{}"), YES("\"x\""),
    // White space: four characters, around every token.
    YES(" null"), YES("null "), YES("\t\n\r null\r\n\t "), YES("[ ]"), YES("{ }"), YES(" [\t1\n,\r2 ] "),
    YES(" { \"a\" : 1 , \"b\" : [ ] } "), YES("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n1"),
    // Numbers.
    YES("-0"), YES("1"), YES("-1"), YES("10"), YES("123456789"), YES("0.0"), YES("-0.0"), YES("0.5"), YES("1.5"), YES("10.01"),
    YES("1e1"), YES("1E1"), YES("1e+1"), YES("1e-1"), YES("0e0"), YES("0e+0"), YES("0E-0"), YES("1.5e300"), YES("1e001"),
    YES("-1.25E-07"), YES("9223372036854775807"), YES("-9223372036854775808"), YES("18446744073709551616"), YES("1e400"),
    YES("-1e400"), YES("1e-400"), YES("123456789012345678901234567890.123456789012345678901234567890e12345678901234567890"),
    YES("[1234567890123456]"), YES("[123456789012345]"), YES("[12345678901234567]"), YES("[1234567.12345678]"),
    YES("[1234567.1234567890]"), YES("[-123456789012345.5, 1]"), YES("[0,-0,0.1,1e5,1]"), YES("[0.00000000000000000000001,   2]"),
    // Strings: everything but quote, backslash and control characters stands for itself.
    YES("\" \""), YES("\"\x7f\""), YES("\"'\""), YES("\"/\""), YES("\"a/*b*/c//d\""), YES("\"[{:,}]\""), YES("\"012345678901234\""),
    YES("\"0123456789012345\""), YES("\"01234567890123456\""), YES("\"0123456789012345678901234567890\""),
    // Escapes.
    YES("\"\\\"\""), YES("\"\\\\\""), YES("\"\\/\""), YES("\"\\b\\f\\n\\r\\t\""), YES("\"\\u0000\""), YES("\"\\u0022\""),
    YES("\"\\uaBcD\""), YES("\"\\uFFFF\""), YES("\"\\ud83d\\ude00\""), YES("\"\\\\u0041\""), YES("\"\\\\n\""),
    YES("\"0123456789abcd\\n\""), YES("\"0123456789abcde\\n\""), YES("\"0123456789abc\\\\\""), YES("\"0123456789abcdef\\u12345\""),
    // Unpaired surrogate escapes are taken.
    YES("\"\\ud800\""), YES("\"\\udc00\""), YES("\"\\ud800\\ud800\""), YES("\"\\udc00\\ud800\""), YES("\"\\ud800x\""),
    YES("\"\\ud800\\n\""),
    // UTF-8 of every length, its first and last, around the surrogates, noncharacters.
    YES("\"\xc2\x80\""), YES("\"\xdf\xbf\""), YES("\"\xe0\xa0\x80\""), YES("\"\xed\x9f\xbf\""), YES("\"\xee\x80\x80\""),
    YES("\"\xef\xbf\xbf\""), YES("\"\xf0\x90\x80\x80\""), YES("\"\xf4\x8f\xbf\xbf\""), YES("\"\xe2\x82\xac\""),
    YES("\"\xef\xbb\xbf\""), YES("\"\xe2\x80\xa8\xe2\x80\xa9\""), YES("\"0123456789abcde\xe2\x82\xac\""),
    YES("\"0123456789abc\xf0\x9f\x98\x80 0123456789abcdef\""), YES("{\"\xe2\x82\xac\":\"\xe2\x82\xac\"}"),
    // Arrays and objects.
    YES("[1]"), YES("[1,2,3]"), YES("[[]]"), YES("[[],[]]"), YES("[[[[[[[[]]]]]]]]"), YES("[{}]"), YES("[{},[],{},[]]"),
    YES("[null,true,false,0,\"\"]"), YES("{\"a\":1}"), YES("{\"\":0}"), YES("{\"a\":{\"a\":{\"a\":{}}}}"),
    YES("{\"a\":[],\"b\":{},\"c\":[{}]}"), YES("{\"a\":1,\"a\":2}"), YES("{\"a\":1,\"a\":1}"), YES("{\"\\u0061\":1,\"a\":2}"),
    YES("{\"\\\"\":1}"), YES("[\"a\",\"b\"]"), YES("[\"]\"]"), YES("{\"}\":\"{\"}"), YES("[\"\\\"]\"]"),
};

static const struct invalid_case invalid_cases[] = {
    // Nothing, or no value.
    NO(0, ""), NO(1, " "), NO(2, "\n\t"), NO(0, ","), NO(0, "]"), NO(0, "}"), NO(0, ":"), NO(0, "x"), NO(0, "'a'"), NO(0, "#"),
    NO(0, "//\n1"), NO(0, "/**/1"), NO(0, "undefined"), NO(0, "NaN"), NO(0, "Infinity"), NO(1, "-Infinity"), NO(1, "-NaN"),
    NO(0, "\0"), NO(0, "\xef\xbb\xbf{}"), NO(0, "\xfe\xff"), NO(0, "\xc2\xa0""1"), NO(0, "\f1"), NO(0, "\v1"), NO(0, "(1)"),
    // Literals.
    NO(1, "t"), NO(3, "tru"), NO(4, "fals"), NO(3, "nul"), NO(0, "True"), NO(0, "TRUE"), NO(3, "trux"), NO(4, "truee"),
    NO(4, "nulll"), NO(4, "null0"), NO(1, "fAlse"), NO(3, "tru\0"), NO(0, "Null"),
    // Behind the value.
    NO(2, "1 2"), NO(2, "[]]"), NO(2, "{}}"), NO(2, "[],"), NO(2, "{}x"), NO(2, "\"\"\""), NO(2, "[]\0"), NO(3, "{} #"),
    NO(4, "true,"), NO(2, "1 \xef\xbb\xbf"), NO(1, "1,"), NO(2, "[][]"),
    // Numbers.
    NO(1, "-"), NO(0, "+1"), NO(0, ".5"), NO(2, "1."), NO(1, "-."), NO(2, "1.e5"), NO(1, "01"), NO(2, "-01"), NO(1, "00"),
    NO(2, "1e"), NO(3, "1e+"), NO(3, "1e-"), NO(2, "1ex"), NO(2, "1e.5"), NO(3, "1.5.5"), NO(3, "1e5.5"), NO(1, "1x"), NO(1, "0x10"),
    NO(1, "--1"), NO(1, "-+1"), NO(1, "1+1"), NO(1, "1,000"), NO(1, "1_000"), NO(1, "1f"), NO(3, "1.0f"), NO(2, "[-]"),
    NO(2, "[01]"), NO(3, "[1.]"), NO(3, "[1e]"), NO(2, "[012345678901234567890]"), NO(1, "-a"), NO(3, "1e5e5"),
    NO(3, "[1 000]"), NO(10, "123456789.,                  "), NO(2, "[00                      ]"), NO(3, "[-00                    ]"),
    NO(0, "\xef\xbc\x91"), NO(2, "1e\xef\xbc\x91"),
    // Strings that don't end, control characters.
    NO(1, "\""), NO(2, "\"a"), NO(3, "\"\\\""), NO(2, "\"\\"), NO(1, "\"\0\""), NO(1, "\"\n\""), NO(1, "\"\t\""), NO(2, "\"a\x1f\""),
    NO(16, "\"0123456789abcde\n\""), NO(17, "\"0123456789abcdef\n\""), NO(1, "\"\x01"), NO(17, "\"0123456789abcdef"),
    NO(1, "\"\r\n\""),
    // Escapes.
    NO(2, "\"\\x41\""), NO(2, "\"\\a\""), NO(2, "\"\\'\""), NO(2, "\"\\0\""), NO(2, "\"\\U0041\""), NO(2, "\"\\v\""), NO(2, "\"\\ \""),
    NO(2, "\"\\\n\""), NO(2, "\"\\\0\""), NO(3, "\"\\u\""), NO(4, "\"\\u1\""), NO(5, "\"\\u12\""), NO(6, "\"\\u123\""),
    NO(3, "\"\\ug000\""), NO(6, "\"\\u000g\""), NO(4, "\"\\u0 00\""), NO(3, "\"\\u-001\""), NO(3, "\"\\u+001\""), NO(3, "\"\\u"),
    NO(6, "\"\\u123"), NO(2, "\"\\\xe2\x82\xac\""), NO(9, "\"\\ud83d\\u\""), NO(3, "\"\\u\xef\xbc\x91\""),
    // UTF-8: alone, cut, overlong, surrogates, too large.
    NO(1, "\"\x80\""), NO(1, "\"\xbf\""), NO(2, "\"\xc2\""), NO(2, "\"\xc2"), NO(1, "\"\xc0\x80\""), NO(1, "\"\xc1\xbf\""),
    NO(2, "\"\xe0\x80\x80\""), NO(2, "\"\xe0\x9f\xbf\""), NO(2, "\"\xed\xa0\x80\""), NO(2, "\"\xed\xbf\xbf\""), NO(3, "\"\xe2\x82\""),
    NO(3, "\"\xe2\x82"), NO(2, "\"\xf0\x80\x80\x80\""), NO(2, "\"\xf0\x8f\xbf\xbf\""), NO(2, "\"\xf4\x90\x80\x80\""),
    NO(1, "\"\xf5\x80\x80\x80\""), NO(1, "\"\xff\""), NO(1, "\"\xfe\""), NO(4, "\"\xf0\x9f\x98\""), NO(3, "\"\xf0\x9f""a\""),
    NO(2, "\"\xc3(\""), NO(3, "\"\xc3\xa9\xa9\""), NO(17, "\"0123456789abcdef\xff\""), NO(2, "{\"\xff\":1}"), NO(0, "\xe9"),
    NO(0, "\xe2\x82\xac"),
    // Arrays.
    NO(1, "["), NO(2, "[1"), NO(3, "[1,"), NO(3, "[1,]"), NO(1, "[,1]"), NO(1, "[,]"), NO(3, "[1,,2]"), NO(3, "[1 2]"), NO(2, "[1}"),
    NO(1, "[}"), NO(2, "[1:2]"), NO(3, "[[]"), NO(4, "[\"a\""), NO(4, "[\"a\":1]"), NO(6, "[1,2,3"), NO(2, "[ "), NO(3, "[{}"),
    NO(1, "[x]"), NO(1, "[*]"), NO(8, "[1,\n1\n,1"),
    // Objects.
    NO(1, "{"), NO(1, "{]"), NO(1, "{,}"), NO(4, "{\"a\""), NO(4, "{\"a\"}"), NO(5, "{\"a\":"), NO(5, "{\"a\":}"), NO(6, "{\"a\":1"),
    NO(7, "{\"a\":1,"), NO(7, "{\"a\":1,}"), NO(7, "{\"a\":1,,}"), NO(6, "{\"a\":1]"), NO(5, "{\"a\" 1}"), NO(4, "{\"a\",1}"),
    NO(4, "{\"a\"=1}"), NO(5, "{\"a\"::1}"), NO(1, "{a:1}"), NO(1, "{'a':1}"), NO(1, "{1:1}"), NO(1, "{null:1}"), NO(1, "{[]:1}"),
    NO(1, "{{}:1}"), NO(7, "{\"a\":1 \"b\":2}"), NO(6, "{\"a\":1:2}"), NO(7, "{\"a\":{}"), NO(2, "{\""), NO(3, "{\"a"), NO(5, "{\"a\":x}"),
    NO(7, "{\"a\":1,b}"), NO(5, "{\"a\":,}"), NO(2, "{ "),
};

#undef YES
#undef NO
