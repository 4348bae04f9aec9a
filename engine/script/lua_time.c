#include "script/lua_time.h"
#include "base/clock.h"

#include <math.h>

enum { DAY_SECONDS = 86400 };
static const double MOST_MS = 253402300799999.0;  // 9999-12-31T23:59:59.999Z
static const double LEAST_MS = -62135596800000.0; // 0001-01-01T00:00:00Z

struct reader {
  const char *at, *end;
  bool broken;
};

static int read_digits(struct reader *r, int count) {
  int value = 0;
  for (; count > 0; count--, r->at++) {
    if (r->at == r->end || *r->at < '0' || *r->at > '9') {
      r->broken = true;
      return 0;
    }
    value = value * 10 + (*r->at - '0');
  }
  return value;
}

static bool take(struct reader *r, char c) {
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

static void expect(struct reader *r, char c) {
  if (!take(r, c)) r->broken = true;
}

static int in_range(struct reader *r, int value, int low, int high) {
  if (value < low || value > high) r->broken = true;
  return value;
}

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that a leap day is a
// year's last.
static int64_t days_since_1970(int year, int month, int day) {
  int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
  return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static int64_t read_date(struct reader *r) {
  int year = in_range(r, read_digits(r, 4), 1, 9999);
  expect(r, '-');
  int month = in_range(r, read_digits(r, 2), 1, 12);
  expect(r, '-');
  int day = read_digits(r, 2);
  if (r->broken) return 0;
  in_range(r, day, 1, days_in_month(year, month));
  return days_since_1970(year, month, day);
}

static int read_millis(struct reader *r) {
  int millis = 0, digits = 0;
  if (!take(r, '.') && !take(r, ',')) return 0;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, digits++)
    if (digits < 3) millis = millis * 10 + (*r->at - '0');
  if (!digits) r->broken = true;
  for (; digits < 3; digits++)
    millis *= 10;
  return millis;
}

static int64_t read_time_ms(struct reader *r) {
  int hour = in_range(r, read_digits(r, 2), 0, 23);
  expect(r, ':');
  int minute = in_range(r, read_digits(r, 2), 0, 59), second = 0;
  if (take(r, ':'))
    second = in_range(r, read_digits(r, 2), 0, 60); // 60: a leap second is the next minute's first
  int64_t ms = (int64_t)(hour * 3600 + minute * 60 + second) * 1000;
  return ms + read_millis(r);
}

static int64_t read_offset_ms(struct reader *r) {
  if (r->at == r->end || take(r, 'Z') || take(r, 'z')) return 0;
  bool west = take(r, '-');
  if (!west) expect(r, '+');
  int hours = in_range(r, read_digits(r, 2), 0, 23), minutes = 0;
  if (take(r, ':') || r->at < r->end) minutes = in_range(r, read_digits(r, 2), 0, 59);
  int64_t ms = (int64_t)(hours * 60 + minutes) * 60000;
  return west ? -ms : ms;
}

bool lua_time_parse(struct slice text, int64_t *ms) {
  struct reader r = {text.at, text.at + text.len, false};
  int64_t result = read_date(&r) * DAY_SECONDS * 1000;
  if (!r.broken && r.at < r.end) {
    if (!take(&r, 'T') && !take(&r, 't')) expect(&r, ' ');
    result += read_time_ms(&r);
    result -= read_offset_ms(&r);
  }
  if (r.broken || r.at != r.end) return false;
  *ms = result;
  return true;
}

int64_t lua_time_of_record(const struct json_tape *tape, const struct record_header *header) {
  static const char *const fields[] = {"timestamp", "end_timestamp", "start_timestamp"};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    uint32_t entry = json_find(tape, 0, slice_of(fields[i]));
    int64_t ms;
    if (entry != JSON_NONE && json_kind_of(tape, entry) == TAPE_STRING &&
        lua_time_parse(json_inner(tape, entry), &ms))
      return ms;
  }
  return header->received_ms;
}

static bool read_argument(lua_State *L, int64_t *ms) {
  enum { LONGEST = 64 }; // a time is shorter, and reading takes no look at the clock
  struct slice text;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    double number = lua_tonumber(L, 1);
    if (!(number >= LEAST_MS && number <= MOST_MS)) return false;
    *ms = (int64_t)floor(number);
    return true;
  }
  if (lua_type(L, 1) != LUA_TSTRING) return false;
  text.at = lua_tolstring(L, 1, &text.len);
  return text.len <= LONGEST && lua_time_parse(text, ms);
}

// nil for nil, so that an absent field stays absent, and nil and a message for what is no time.
static int time_parse(lua_State *L) {
  int64_t ms;
  if (lua_isnoneornil(L, 1)) {
    lua_pushnil(L);
    return 1;
  }
  if (read_argument(L, &ms)) {
    lua_pushnumber(L, (lua_Number)ms);
    return 1;
  }
  lua_pushnil(L);
  lua_pushliteral(L, "not a time");
  return 2;
}

static int time_iso(lua_State *L) {
  int64_t ms;
  char text[CLOCK_ISO_BYTES];
  if (lua_isnoneornil(L, 1)) {
    lua_pushnil(L);
    return 1;
  }
  if (!read_argument(L, &ms)) {
    bool is_text = lua_type(L, 1) == LUA_TSTRING;
    return luaL_error(L, "time.iso: not a time: %s", is_text ? lua_tostring(L, 1) : luaL_typename(L, 1));
  }
  lua_pushstring(L, clock_iso(ms, text));
  return 1;
}

void lua_time_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"parse", time_parse}, {"iso", time_iso}, {NULL, NULL}};
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  lua_state_set_global(L, "time");
}
