// Proves that the tape takes, refuses and reads texts as simdjson does, on mutations without end; and that a
// tape that knows their shapes does the same as one that does not.
//
// With clang -fsanitize=fuzzer it is a libFuzzer target. Otherwise it has a main of its own, for ctest: it
// mutates built-in texts by a seeded generator. json_tape_fuzz [ITERATIONS [SEED]]; a failure prints the text
// and the seed.
//
// simdjson (3.0.1) refuses what the tape takes in three cases only, and each must be shown to be there before
// it is excused: an integer beyond 64 bits, a number beyond the doubles, an unpaired surrogate escape. Texts
// deeper than the tape's limit are not compared.
#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <vector>

extern "C" {
#include "base/json_tape.h"
#include "base/json_write.h"
#include "base/rand.h"
}
#include "../unit/json_cases.h"

using simdjson::dom::element;
using simdjson::dom::element_type;

static std::string current; // the text that is being compared, for the report

[[noreturn]] static void differ(const char *what) {
  std::fprintf(stderr, "json_tape_fuzz: %s, on %zu bytes:\n%s\n", what, current.size(), current.c_str());
  for (char c : current)
    std::fprintf(stderr, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  std::fprintf(stderr, "\n");
  std::abort();
}

static void require(bool holds, const char *what) {
  if (!holds) differ(what);
}

static std::string_view view(struct slice s) {
  return {s.at, s.len};
}

static std::string unescaped(const struct json_tape &t, uint32_t entry) {
  std::string out(json_inner(&t, entry).len, 0);
  out.resize(json_unescape(json_inner(&t, entry), out.data()));
  return out;
}

// --- what simdjson may refuse ---

static unsigned escape_at(std::string_view s, size_t at) { // the code of "\uXXXX", or 0
  if (at + 6 > s.size() || s[at] != '\\' || s[at + 1] != 'u') return 0;
  return static_cast<unsigned>(std::stoul(std::string(s.substr(at + 2, 4)), nullptr, 16));
}

static bool has_unpaired_surrogate(std::string_view s) {
  for (size_t i = 0; i < s.size(); i++) {
    if (s[i] != '\\') continue;
    unsigned code = escape_at(s, i), second = escape_at(s, i + 6);
    if (code < 0xd800 || code > 0xdfff) {
      i++;
      continue;
    }
    if (code > 0xdbff || second < 0xdc00 || second > 0xdfff) return true;
    i += 11;
  }
  return false;
}

static bool beyond_64_bits(std::string_view digits) {
  errno = 0;
  std::string text(digits);
  if (text[0] == '-')
    std::strtoll(text.c_str(), nullptr, 10);
  else
    std::strtoull(text.c_str(), nullptr, 10);
  return errno == ERANGE;
}

static bool excused(const struct json_tape &t) {
  for (uint32_t i = 0; i < t.count; i++) {
    switch (json_kind_of(&t, i)) {
    case TAPE_INTEGER:
      if (beyond_64_bits(view(json_raw(&t, i)))) return true;
      break;
    case TAPE_REAL:
      if (std::isinf(json_tape_real(&t, i))) return true;
      break;
    case TAPE_ESCAPED:
      if (has_unpaired_surrogate(view(json_inner(&t, i)))) return true;
      break;
    default:
      break;
    }
  }
  return false;
}

// --- comparing what both took ---

static void compare_real(double theirs, const struct json_tape &t, uint32_t entry) {
  double ours = json_tape_real(&t, entry);
  require(std::memcmp(&ours, &theirs, sizeof ours) == 0, "another real");
  char text[JSON_NUMBER_BYTES + 1];
  text[json_format_real(ours, text)] = 0;
  require(std::strtod(text, nullptr) == ours, "a real that is written differently");
}

static void compare_integer(element theirs, const struct json_tape &t, uint32_t entry) {
  int64_t ours = 0;
  require(json_kind_of(&t, entry) == TAPE_INTEGER, "another kind of number");
  bool fits = json_tape_integer(&t, entry, &ours);
  require(fits == theirs.is_int64(), "another range of integers");
  if (fits) require(ours == theirs.get_int64().value_unsafe(), "another integer");
}

static void compare_string(std::string_view theirs, const struct json_tape &t, uint32_t entry) {
  std::string ours = unescaped(t, entry);
  bool escaped = view(json_inner(&t, entry)).find('\\') != std::string_view::npos;
  require(json_kind_of(&t, entry) == (escaped ? TAPE_ESCAPED : TAPE_STRING), "another kind of string");
  require(ours == theirs, "another string");
}

static void compare(element theirs, const struct json_tape &t, uint32_t entry);

static void compare_array(simdjson::dom::array theirs, const struct json_tape &t, uint32_t entry) {
  require(json_kind_of(&t, entry) == TAPE_ARRAY, "not an array");
  uint32_t i = entry + 1, count = 0;
  for (element member : theirs) {
    require(i < t.entries[entry].next, "fewer elements");
    compare(member, t, i);
    i = t.entries[i].next;
    count++;
  }
  require(i == t.entries[entry].next && count == t.entries[entry].count, "more elements");
}

static void compare_object(simdjson::dom::object theirs, const struct json_tape &t, uint32_t entry) {
  require(json_kind_of(&t, entry) == TAPE_OBJECT, "not an object");
  uint32_t i = entry + 1, count = 0;
  for (auto [key, member] : theirs) {
    require(i < t.entries[entry].next, "fewer members");
    compare_string(key, t, i);
    compare(member, t, i + 1);
    uint32_t found = json_find(&t, entry, slice_make(key.data(), key.size()));
    require(found > i && unescaped(t, found - 1) == key, "a key that is not found");
    i = t.entries[i + 1].next;
    count++;
  }
  require(i == t.entries[entry].next && count == t.entries[entry].count, "more members");
}

static void compare(element theirs, const struct json_tape &t, uint32_t entry) {
  enum json_kind kind = json_kind_of(&t, entry);
  switch (theirs.type()) {
  case element_type::ARRAY:
    return compare_array(theirs.get_array().value_unsafe(), t, entry);
  case element_type::OBJECT:
    return compare_object(theirs.get_object().value_unsafe(), t, entry);
  case element_type::INT64:
  case element_type::UINT64:
    return compare_integer(theirs, t, entry);
  case element_type::DOUBLE:
    require(kind == TAPE_REAL, "another kind of number");
    return compare_real(theirs.get_double().value_unsafe(), t, entry);
  case element_type::STRING:
    return compare_string(theirs.get_string().value_unsafe(), t, entry);
  case element_type::BOOL:
    return require(kind == (theirs.get_bool().value_unsafe() ? TAPE_TRUE : TAPE_FALSE), "another boolean");
  case element_type::NULL_VALUE:
    return require(kind == TAPE_NULL, "not null");
  }
}

// --- one text ---

enum class outcome { taken, refused, excused, too_large };

static outcome judge(struct json_tape &t, struct slice text) {
  static simdjson::dom::parser parser;
  struct json_fault fault;
  element theirs;
  bool taken = json_tape_parse(&t, text, &fault);
  if (!taken && fault.kind != JSON_BROKEN) return outcome::too_large;
  require(taken || fault.at <= text.len, "a fault behind the text");
  bool they_took = parser.parse(text.at, text.len).get(theirs) == simdjson::SUCCESS;
  if (!taken) {
    require(!they_took, "refused, but simdjson takes it");
    return outcome::refused;
  }
  require(t.entries[0].next == t.count, "a tape that does not end");
  require(json_skip(text) == static_cast<size_t>(json_raw(&t, 0).at - text.at) + json_raw(&t, 0).len,
          "a skip elsewhere");
  if (!they_took) {
    require(excused(t), "taken, but simdjson refuses it");
    return outcome::excused;
  }
  compare(theirs, t, 0);
  return outcome::taken;
}

// A tape that has just parsed the text that this one was made from, and then this one itself.
static void judge_known(const struct json_tape &plain, const std::string &origin, struct slice text) {
  static struct json_tape known;
  struct json_fault fault;
  known.rest = 0; // never gives up
  json_tape_parse(&known, slice_make(origin.data(), origin.size()), &fault);
  for (int i = 0; i < 2; i++) {
    known.rest = 0;
    bool taken = json_tape_parse(&known, text, &fault);
    require(taken == (plain.count > 0) && known.count == plain.count,
            "another outcome when the shape is known");
    require(std::memcmp(known.entries, plain.entries, known.count * sizeof *known.entries) == 0,
            "other entries when the shape is known");
  }
}

static outcome judge_copy(const uint8_t *data, size_t len, const std::string &origin) {
  static struct json_tape t;
  t.rest = UINT32_MAX; // looks at no shapes
  current.assign(reinterpret_cast<const char *>(data), len);
  std::unique_ptr<char[]> exact(
      new char[len]); // nothing behind it, so that a sanitizer sees every read too far
  std::copy(current.begin(), current.end(), exact.get());
  struct slice text = slice_make(exact.get(), len);
  outcome o = judge(t, text);
  judge_known(t, origin, text);
  return o;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static std::string before;
  judge_copy(data, len, before);
  before = current;
  return 0;
}

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION

// --- without libFuzzer: texts that are mutated by a seeded generator ---

static const char *const records[] = {
    R"({"cost":0.01666025,"id":174000000,"operator":{"id":48,"name":"SFR Cegetel","country":{"id":68,"name":"France"}},)"
    R"("volume":{"rx":0.052341,"tx":0.0143,"total":0.066641},"imsi":"901405300000097","currency":{"symbol":"€","id":1}})",
    R"({"id":174000001,"alert":false,"description":"Endpoint '135' \"quoted\" \\ path.","event_type":{"id":1},)"
    R"("timestamp":"2026-11-20T00:00:00.049+0000","detail":{"tapcode":[{"id":2,"tapcode":"DEUD2"}],"mnc":[null,true]}})",
    R"([0,-1,1.5,1e5,1E-7,18446744073709551615,18446744073709551616,-9223372036854775808,9007199254740993,0.1e400,-0,-0.0])",
    R"(["\u0000\u001f\ud83d\ude00\ud800\udc00","\ud800","\udc00x","\/\b\f\n\r\t","é漢😀","0123456789abcdef0123456789abcdef"])",
    " [ { } , [ ] , { \"a\" : [ 1 , 2 ] , \"a\" : { \"a\" : null } } , \"\\u0061\" ] \n",
};

static std::vector<std::string> corpus() {
  std::vector<std::string> texts(std::begin(records), std::end(records));
  for (const valid_case &c : valid_cases)
    texts.emplace_back(c.text, c.len);
  for (const invalid_case &c : invalid_cases)
    texts.emplace_back(c.text, c.len);
  return texts;
}

static size_t draw(size_t below) {
  return below ? rand_u64() % below : 0;
}

static char interesting_byte() {
  static const char bytes[] =
      "{}[]\",:\\/ \t\n\r0123456789-+.eEuntfal\0\x1f\x7f\x80\xbf\xc2\xe2\xed\xf0\xf4\xff";
  return draw(8) ? bytes[draw(sizeof bytes - 1)] : static_cast<char>(rand_u64());
}

// A value out of a valid text takes the place of one in another: mostly, that stays valid.
static void transplant(std::string &text, const std::string &from) {
  static struct json_tape to, donor;
  struct json_fault fault;
  if (!json_tape_parse(&to, slice_make(text.data(), text.size()), &fault)) return;
  if (!json_tape_parse(&donor, slice_make(from.data(), from.size()), &fault)) return;
  struct slice old = json_raw(&to, static_cast<uint32_t>(draw(to.count)));
  std::string value(view(json_raw(&donor, static_cast<uint32_t>(draw(donor.count)))));
  text.replace(static_cast<size_t>(old.at - text.data()), old.len, value);
}

static void mutate(std::string &text, const std::string &other) {
  size_t at = draw(text.size() + 1), len = draw(std::min<size_t>(text.size() - at, 20) + 1);
  switch (draw(8)) {
  case 0:
    if (at < text.size()) text[at] = interesting_byte();
    break;
  case 1:
    text.insert(at, 1, interesting_byte());
    break;
  case 2:
    text.erase(at, len);
    break;
  case 3:
    text.insert(at, text.substr(at, len));
    break;
  case 4:
    text.insert(at, other.substr(draw(other.size()), 1 + draw(20)));
    break;
  default:
    transplant(text, other);
  }
}

int main(int argc, char **argv) {
  unsigned long iterations = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 300000;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  size_t counts[4] = {};
  std::vector<std::string> texts = corpus();
  size_t built_in = texts.size();
  rand_seed(seed);
  for (unsigned long i = 0; i < iterations; i++) {
    std::string origin = texts[draw(texts.size())], text = origin;
    for (size_t left = 1 + draw(6); left; left--)
      mutate(text, texts[draw(texts.size())]);
    outcome o = judge_copy(reinterpret_cast<const uint8_t *>(text.data()), text.size(), origin);
    counts[static_cast<size_t>(o)]++;
    if (o != outcome::taken || text.size() > 2000 || draw(50)) continue;
    if (texts.size() < 2 * built_in)
      texts.push_back(text);
    else
      texts[built_in + draw(built_in)] = text;
  }
  std::printf("seed %" PRIu64 ": %lu texts: %zu taken, %zu refused, %zu excused, %zu beyond a limit\n", seed,
              iterations, counts[0], counts[1], counts[2], counts[3]);
  return counts[0] * 10 > iterations && counts[1] * 10 > iterations
             ? 0
             : 1; // both ways must have been gone often
}
#endif
