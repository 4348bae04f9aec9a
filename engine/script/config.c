// config.c - what may stand in sluice.lua, as one table of fields, and its reading from a Lua state without
// any library.
#include "script/config.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "script/source_line.h"

#include <ctype.h>
#include <inttypes.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

enum {
  FILE_BYTES = 1 << 20,
  INSTRUCTIONS = 10000000, // for all of the file; a table takes a few hundred
  COMPRESSION_LEVEL = -5,  // of zstd's fast levels: a fifth less work than -1; levels below it are no faster
};

struct reading {
  lua_State *L;
  struct config *config;
  const char *file;
  struct slice source;
  struct err *err;
};

struct field {
  const char *section, *name; // section NULL: at the top
  bool (*read)(struct reading *r, const struct field *field);
  size_t at, room;  // of the member in struct config; room: bytes of a text
  int64_t min, max; // of a number, bytes or milliseconds
};

// ---- errors ----

static bool fault(const struct reading *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Of the last `return`: the table's, where nothing closer is known. 0: there is none.
static unsigned return_line(struct slice source) {
  static const char word[] = "return";
  unsigned line = 1, found = 0;
  for (size_t i = 0; i < source.len; i++) {
    bool begins = i == 0 || !isalnum((unsigned char)source.at[i - 1]);
    if (begins && source.len - i >= sizeof word - 1 && memcmp(source.at + i, word, sizeof word - 1) == 0)
      found = line;
    if (source.at[i] == '\n') line++;
  }
  return found;
}

static bool fault(const struct reading *r, const char *key, const char *format, ...) {
  char what[ERR_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  unsigned line = source_line(r->source, key);
  if (!line) line = return_line(r->source);
  if (line) return err_set(r->err, "%s:%u: %s", r->file, line, what);
  return err_set(r->err, "%s: %s", r->file, what);
}

// ---- one value, on top of the stack ----

static void *member_of(const struct reading *r, const struct field *f) {
  return (char *)r->config + f->at;
}

static const char *text_of(const struct reading *r, const struct field *f) {
  if (lua_type(r->L, -1) == LUA_TSTRING) return lua_tostring(r->L, -1);
  fault(r, f->name, "%s must be a text in quotes", f->name);
  return NULL;
}

static bool read_text(struct reading *r, const struct field *f) {
  const char *text = text_of(r, f);
  if (!text) return false;
  size_t len = lua_objlen(r->L, -1);
  if (len == 0 || len >= f->room || strlen(text) != len)
    return fault(r, f->name, "%s must be a text of 1 to %zu bytes", f->name, f->room - 1);
  memcpy(member_of(r, f), text, len + 1);
  return true;
}

// Digits alone, up to 65535; 0 takes any free port.
static bool is_port(const char *text) {
  size_t len = strspn(text, "0123456789");
  return len > 0 && len <= 5 && !text[len] && strtoul(text, NULL, 10) <= UINT16_MAX;
}

static bool read_listen(struct reading *r, const struct field *f) {
  if (!read_text(r, f)) return false;
  const char *text = member_of(r, f), *colon = strrchr(text, ':');
  bool bracketed = text[0] == '[' && colon && colon[-1] == ']' && colon - text > 2;
  bool plain = colon && colon > text && strchr(text, ':') == colon && text[0] != '[';
  if (!bracketed && !plain)
    return fault(r, f->name, "listen must be HOST:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\"");
  return is_port(colon + 1) || fault(r, f->name, "listen: the port must be a whole number from 0 to 65535");
}

// The default may be absent; a folder that somebody named must be there.
static bool read_folder(struct reading *r, const struct field *f) {
  char fallback[512];
  snprintf(fallback, sizeof fallback, "%s", (const char *)member_of(r, f));
  if (!read_text(r, f)) return false;
  const char *folder = member_of(r, f);
  struct stat facts;
  if (strcmp(folder, fallback) == 0 || (stat(folder, &facts) == 0 && S_ISDIR(facts.st_mode))) return true;
  return fault(r, f->name, "%s: there is no folder \"%.200s\"", f->name, folder);
}

static bool read_count(struct reading *r, const struct field *f) {
  double value = lua_type(r->L, -1) == LUA_TNUMBER ? lua_tonumber(r->L, -1) : -1;
  if (!(value >= (double)f->min && value <= (double)f->max) || value != (double)(int64_t)value)
    return fault(r, f->name, "%s must be a whole number from %" PRId64 " to %" PRId64, f->name, f->min,
                 f->max);
  *(unsigned *)member_of(r, f) = (unsigned)value;
  return true;
}

static void show_bytes(int64_t bytes, char *out, size_t room) {
  bool is_whole = bytes % (1 << 20) == 0;
  snprintf(out, room, "%" PRId64 "%s", is_whole ? bytes >> 20 : bytes >> 10, is_whole ? "MB" : "KB");
}

static bool read_size(struct reading *r, const struct field *f) {
  char text[64] = "", least[32], most[32];
  size_t bytes = 0;
  if (lua_type(r->L, -1) == LUA_TSTRING) snprintf(text, sizeof text, "%s", lua_tostring(r->L, -1));
  if (lua_type(r->L, -1) == LUA_TNUMBER) snprintf(text, sizeof text, "%.0f", lua_tonumber(r->L, -1));
  show_bytes(f->min, least, sizeof least);
  show_bytes(f->max, most, sizeof most);
  if (!config_size(text, &bytes) || bytes < (size_t)f->min || bytes > (size_t)f->max)
    return fault(r, f->name, "%s must be a size from \"%s\" to \"%s\"", f->name, least, most);
  *(size_t *)member_of(r, f) = bytes;
  return true;
}

static bool read_ms(const struct reading *r, const struct field *f, const char *example, int64_t *out) {
  const char *text = lua_type(r->L, -1) == LUA_TSTRING ? lua_tostring(r->L, -1) : "";
  if (config_duration_ms(text, out) && *out >= f->min && *out <= f->max) return true;
  return fault(r, f->name, "%s must be a time with its unit, such as %s", f->name, example);
}

static bool read_retention(struct reading *r, const struct field *f) {
  return read_ms(r, f, "\"7d\" (at least \"1h\", at most \"3650d\")", member_of(r, f));
}

static bool read_script_time(struct reading *r, const struct field *f) {
  int64_t ms;
  if (!read_ms(r, f, "\"50ms\" (at least \"1ms\", at most \"10s\")", &ms)) return false;
  *(uint32_t *)member_of(r, f) = (uint32_t)ms;
  return true;
}

static bool read_isolation(struct reading *r, const struct field *f) {
  const char *text = text_of(r, f);
  if (!text) return false;
  bool organisation = strcmp(text, "organisation") == 0;
  if (!organisation && strcmp(text, "shared") != 0)
    return fault(r, f->name, "isolation must be \"shared\" or \"organisation\"");
  *(bool *)member_of(r, f) = organisation;
  return true;
}

static bool read_tls(struct reading *r, const struct field *f) {
  (void)f;
  return fault(r, "tls", "tls is not in this version: put a TLS proxy in front");
}

static bool read_journal_kind(struct reading *r, const struct field *f) {
  const char *text = text_of(r, f);
  if (!text) return false;
  if (strcmp(text, "local") == 0) return true;
  if (strcmp(text, "nats") == 0)
    return fault(r, f->name,
                 "kind \"nats\" is not built into this version: use \"local\", the embedded journal");
  return fault(r, f->name, "kind must be \"local\"");
}

static bool read_compression(struct reading *r, const struct field *f) {
  const char *text = text_of(r, f);
  if (!text) return false;
  int level = COMPRESSION_LEVEL, end = 0;
  if (strcmp(text, "none") == 0)
    level = 0;
  else if (strcmp(text, "zstd") != 0 && (sscanf(text, "zstd:%d%n", &level, &end) != 1 || text[end] ||
                                         level == 0 || level < -50 || level > 19))
    return fault(r, f->name,
                 "compression must be \"zstd\", \"none\" or \"zstd:LEVEL\" with a level from -50 to 19");
  *(int *)member_of(r, f) = level;
  return true;
}

static bool read_allow(struct reading *r, const struct field *f) {
  if (!lua_istable(r->L, -1)) return fault(r, f->name, "allow must be a list such as { \"127.0.0.0/8\" }");
  struct egress *egress = member_of(r, f);
  egress->allow_count = 0;
  for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
    struct err err = {0};
    if (lua_type(r->L, -2) != LUA_TNUMBER || lua_type(r->L, -1) != LUA_TSTRING)
      return fault(r, f->name, "allow must be a list of texts such as \"127.0.0.0/8\"");
    if (!egress_allow(egress, lua_tostring(r->L, -1), &err)) return fault(r, f->name, "allow: %s", err.text);
  }
  return true;
}

// ---- all fields ----

#define MEMBER(m) offsetof(struct config, m), sizeof(((struct config *)0)->m)
#define MB(n) ((int64_t)(n) << 20)
#define HOURS(n) ((int64_t)(n)*3600000)

static const struct field fields[] = {
    {NULL, "listen", read_listen, MEMBER(listen), 0, 0},
    {NULL, "data", read_text, MEMBER(data), 0, 0},
    {NULL, "scripts", read_folder, MEMBER(scripts), 0, 0},
    {NULL, "sinks", read_folder, MEMBER(sinks), 0, 0},
    {NULL, "portal", read_text, MEMBER(portal), 0, 0},
    {NULL, "workers", read_count, MEMBER(workers), 1, 256},
    {NULL, "couriers", read_count, MEMBER(couriers), 1, 256},
    {NULL, "isolation", read_isolation, MEMBER(isolated), 0, 0},
    {"journal", "kind", read_journal_kind, 0, 0, 0, 0},
    {"journal", "retention", read_retention, MEMBER(retention_ms), HOURS(1), HOURS(24 * 3650)},
    {"journal", "compression", read_compression, MEMBER(zstd_level), 0, 0},
    {"egress", "allow", read_allow, MEMBER(egress), 0, 0},
    {"tls", "certificate", read_tls, 0, 0, 0, 0},
    {"tls", "key", read_tls, 0, 0, 0, 0},
    {"limits", "body", read_size, MEMBER(body_bytes), 1 << 10, MB(1024)},
    {"limits", "memory", read_size, MEMBER(memory_bytes), MB(16), MB(1 << 20)},
    {"limits", "script_time", read_script_time, MEMBER(script_ms), 1, 10000},
    {"limits", "script_memory", read_size, MEMBER(script_bytes), MB(1), LIMIT_WORKER_BYTES},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static bool same(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct field *find_field(const char *section, const char *name) {
  for (size_t i = 0; i < FIELDS; i++)
    if (same(fields[i].section, section) && strcmp(fields[i].name, name) == 0) return &fields[i];
  return NULL;
}

static bool is_section(const char *name) {
  for (size_t i = 0; i < FIELDS; i++)
    if (same(fields[i].section, name)) return true;
  return false;
}

static bool unknown(const struct reading *r, const char *section, const char *name) {
  const char *words[FIELDS + 1];
  size_t count = 0;
  for (size_t i = 0; i < FIELDS; i++) {
    if (same(fields[i].section, section))
      words[count++] = fields[i].name;
    else if (!section && (count == 0 || !same(words[count - 1], fields[i].section)))
      words[count++] = fields[i].section;
  }
  words[count] = NULL;
  const char *dot = section ? "." : "", *meant = suggest(name, words);
  if (!meant) return fault(r, name, "unknown key \"%s%s%.60s\"", section ? section : "", dot, name);
  return fault(r, name, "unknown key \"%s%s%.60s\": did you mean \"%s\"?", section ? section : "", dot, name,
               meant);
}

static bool read_fields(struct reading *r, const char *section);

static bool read_section(struct reading *r, const char *name) {
  if (!lua_istable(r->L, -1)) return fault(r, name, "%s must be a table", name);
  return read_fields(r, name);
}

// The value on top of the stack; a text is looked for where it stands.
static bool nameless(const struct reading *r, const char *section) {
  bool is_text = lua_type(r->L, -1) == LUA_TSTRING;
  const char *near =
      is_text && source_line(r->source, lua_tostring(r->L, -1)) ? lua_tostring(r->L, -1) : section;
  return fault(r, near ? near : "", "a value without a name in %s", section ? section : "the table");
}

// The table on top of the stack, which stays there.
static bool read_fields(struct reading *r, const char *section) {
  luaL_checkstack(r->L, 4, NULL);
  for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
    if (lua_type(r->L, -2) != LUA_TSTRING) return nameless(r, section);
    const char *name = lua_tostring(r->L, -2);
    const struct field *field = find_field(section, name);
    bool ok = field                          ? field->read(r, field)
              : !section && is_section(name) ? read_section(r, name)
                                             : unknown(r, section, name);
    if (!ok) return false;
  }
  return true;
}

// ---- the Lua state ----

static void stop_endless(lua_State *L, lua_Debug *debug) {
  lua_getinfo(L, "l", debug);
  lua_pushfstring(L, "f:%d: the file does not come to an end", debug->currentline);
  lua_error(L);
}

static int run_file(lua_State *L) {
  struct reading *r = lua_touserdata(L, 1);
  lua_sethook(L, stop_endless, LUA_MASKCOUNT, INSTRUCTIONS);
  // A short chunk name: Lua cuts long file names in its messages.
  if (luaL_loadbufferx(L, r->source.at, r->source.len, "=f", "t") != 0) return lua_error(L);
  lua_call(L, 0, 1);
  if (!lua_istable(L, -1))
    fault(r, "", "must return a table: return { ... }");
  else
    read_fields(r, NULL);
  return 0;
}

static void take_lua_error(const struct reading *r) {
  const char *text = lua_tostring(r->L, -1);
  if (!text) text = "unknown error";
  bool has_line = strncmp(text, "f:", 2) == 0;
  err_set(r->err, "%s%s%s", r->file, has_line ? "" : ": ", has_line ? text + 1 : text);
}

bool config_load(struct config *config, const char *file, struct err *err) {
  struct err own = {0};
  size_t len;
  char *source = disk_read_file(file, FILE_BYTES, &len, err);
  if (!source) return false;
  lua_State *L = luaL_newstate();
  if (L) {
    struct reading r = {L, config, file, slice_make(source, len), &own};
    if (lua_cpcall(L, run_file, &r) != 0) take_lua_error(&r);
    lua_close(L);
  } else {
    err_set(&own, "out of memory");
  }
  mem_free(source);
  return own.text[0] ? err_set(err, "%s", own.text) : true;
}

// ---- defaults and units ----

static unsigned cores(void) {
  int n = get_nprocs();
  return n > 0 ? (unsigned)n : 1;
}

void config_defaults(struct config *config) {
  *config = (struct config){
      .listen = "127.0.0.1:8080",
      .data = "data",
      .scripts = "scripts",
      .sinks = "sinks",
      .portal = "portal/dist",
      .workers = cores(),
      .couriers = cores(),
      .retention_ms = HOURS(24 * 7),
      .zstd_level = COMPRESSION_LEVEL,
      .body_bytes = LIMIT_BODY_BYTES,
      .memory_bytes = LIMIT_MEMORY_BYTES,
      .script_ms = LIMIT_SCRIPT_MS,
      .script_bytes = LIMIT_SCRIPT_BYTES,
  };
}

struct unit {
  const char *name;
  int64_t factor;
};

// Digits and one of the units behind them; the units end with a NULL name.
static bool read_unit(const char *text, const struct unit *units, int64_t *out) {
  if (!isdigit((unsigned char)text[0]) || strlen(text) > 20) return false;
  char *end;
  unsigned long long number = strtoull(text, &end, 10);
  for (const struct unit *u = units; u->name; u++) {
    if (strcasecmp(end, u->name) != 0) continue;
    if (number > (unsigned long long)(INT64_MAX / u->factor)) return false;
    *out = (int64_t)number * u->factor;
    return true;
  }
  return false;
}

bool config_size(const char *text, size_t *out) {
  static const struct unit units[] = {{"", 1},         {"B", 1},        {"KB", 1 << 10},
                                      {"MB", 1 << 20}, {"GB", 1 << 30}, {0}};
  int64_t bytes;
  if (!read_unit(text, units, &bytes)) return false;
  *out = (size_t)bytes;
  return true;
}

bool config_duration_ms(const char *text, int64_t *out) {
  static const struct unit units[] = {{"ms", 1},       {"s", 1000},      {"m", 60000},
                                      {"h", HOURS(1)}, {"d", HOURS(24)}, {0}};
  return read_unit(text, units, out);
}
