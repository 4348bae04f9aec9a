#include "flow/definition.h"
#include "base/clock.h"
#include "base/json_tape.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/suggest.h"
#include "flow/json_text.h"
#include "flow/script_files.h"
#include "flow/script_versions.h"
#include "journal/journal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DOCUMENT_BYTES = 1 << 30 }; // a request's body, which has a limit of its own, escaped otherwise

struct owned {
  struct definition definition; // first: the public part
  atomic_uint refs;
  char texts[];
};

static const char *const known_fields[] = {"name",   "organisation_id", "type",         "sink",      "settings", "script",
                                           "script_name", "parameters", "history_days", "in_flight", "active",   NULL};
static const char *const kept_fields[] = {"id", "created_ms", "start", "script_version", "good_version", "bad_version", "took_over_ms",
                                          NULL};                                 // ours, in the stored document
static const char *const shown_fields[] = {"id", "status", NULL};                // ours, in what the API shows
static const char *const fixed_fields[] = {"id", "organisation_id", "type", "sink", "history_days", NULL};

struct origin { // what a definition is made from
  const struct definition *old; // NULL: new, or from the store
  struct slice source;          // of its shared script; at NULL: to be found
  struct sink *sink;            // NULL: as it is now
  const json_t *set;            // what a user has set of it just now; NULL: nothing
  bool goes_back;
};

void definition_ref(struct definition *definition) {
  atomic_fetch_add(&((struct owned *)definition)->refs, 1);
}

static void release(struct definition *d) {
  sink_unref(d->sink);
  program_unref(d->program);
}

void definition_unref(struct definition *definition) {
  if (!definition) return;
  struct owned *owned = (struct owned *)definition;
  if (atomic_fetch_sub(&owned->refs, 1) != 1) return;
  release(definition);
  mem_free(owned);
}

static bool listed(const char *word, const char *const *words) {
  for (; *words; words++)
    if (strcmp(*words, word) == 0) return true;
  return false;
}

// `more`: fields that are taken besides; NULL: none.
static bool check_known(const json_t *body, const char *const *more, struct err *err) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)body, key, value) {
    if (listed(key, known_fields) || (more && listed(key, more))) continue;
    const char *near = suggest(key, known_fields);
    return near ? err_set(err, "unknown field '%.60s'; did you mean '%s'?", key, near)
                : err_set(err, "unknown field '%.60s'", key);
  }
  return true;
}

// A text field within its length, without control characters; NULL with err when it is anything else. Absent or null: `absent`.
static const char *text_field(const json_t *doc, const char *field, size_t most, const char *absent, struct err *err) {
  const json_t *value = json_object_get(doc, field);
  if (!value || json_is_null(value)) return absent;
  const char *text = json_string_value(value);
  if (!text) return err_set(err, "'%s' must be a string", field), NULL;
  if (strlen(text) != json_string_length(value) || strlen(text) > most)
    return err_set(err, "'%s' is longer than %zu bytes or contains a NUL", field, most), NULL;
  for (const char *c = text; *c; c++)
    if ((unsigned char)*c < 32) return err_set(err, "'%s' contains a control character", field), NULL;
  return text;
}

static bool integer_field(const json_t *doc, const char *field, json_int_t least, json_int_t most, json_int_t absent, json_int_t *out,
                          struct err *err) {
  const json_t *value = json_object_get(doc, field);
  *out = absent;
  if (!value) return true;
  *out = json_integer_value(value);
  if (json_is_integer(value) && *out >= least && *out <= most) return true;
  return err_set(err, "'%s' must be an integer from %lld to %lld", field, (long long)least, (long long)most);
}

static bool read_organisation(struct definition *d, const json_t *doc, struct err *err) {
  const json_t *value = json_object_get(doc, "organisation_id");
  d->organisation = JOURNAL_ALL;
  if (!value || json_is_null(value)) return true;
  if (!json_is_integer(value)) return err_set(err, "'organisation_id' must be an integer, or null for every organisation");
  d->organisation = json_integer_value(value);
  return d->organisation != JOURNAL_ALL || err_set(err, "'organisation_id' %" PRId64 " is no organisation's", d->organisation);
}

// A sink whose file is gone goes on for those who have it.
static bool find_sink(struct definition *d, const struct definition_world *world, const char *name, const struct origin *from,
                      struct err *err) {
  d->sink = from->sink ? from->sink : sink_set_find(world->sinks, name);
  if (!d->sink && from->old) d->sink = from->old->sink;
  if (d->sink) {
    sink_ref(d->sink);
    return true;
  }
  const char *near = sink_set_suggest(world->sinks, name);
  return near ? err_set(err, "unknown sink '%s'; did you mean '%s'?", name, near)
              : err_set(err, "unknown sink '%s': see GET /api/v1/sinks", name);
}

static bool read_sink(struct definition *d, const struct definition_world *world, json_t *doc, const struct origin *from,
                      struct err *err) {
  const char *name = text_field(doc, "sink", 64, "", err);
  if (!name) return false;
  if (!*name) return err_set(err, "'sink' is missing: name one of GET /api/v1/sinks");
  if (!find_sink(d, world, name, from, err)) return false;
  if (!(d->kinds & d->sink->accepts)) return err_set(err, "sink '%s' takes no records of type '%s'", name, d->type);
  const json_t *given = json_object_get(doc, "settings");
  if (given && !json_is_object(given)) return err_set(err, "'settings' must be an object");
  json_t *empty = given ? NULL : json_object();
  json_t *checked = sink_check_settings(d->sink, given ? given : empty, err);
  json_decref(empty);
  if (!checked) return err_prepend(err, "sink '%s'", name);
  return json_object_set_new(doc, "settings", checked) == 0 || err_set(err, "out of memory");
}

static char *read_shared_script(const struct definition_world *world, const char *name, size_t *len, struct err *err) {
  char *source = script_files_read(world->scripts_folder, name, len, err);
  if (!source) err_prepend(err, "script_name '%s'", name);
  return source;
}

// As it runs; from the store, as it ran; else as it is in its file. *own: a copy for mem_free.
static bool find_shared_script(const struct definition *d, const struct definition_world *world, const json_t *doc,
                               const struct origin *from, struct slice *source, char **own, struct err *err) {
  const char *ran = json_string_value(json_object_get(doc, "script_version"));
  *source = from->source;
  if (source->at) return true;
  *own = ran && !from->old && world->store ? script_versions_get(world->store, d->id, ran, &source->len) : NULL;
  if (!*own) *own = read_shared_script(world, d->script_name, &source->len, err);
  source->at = *own;
  return *own != NULL;
}

// {"stream":{...},"parameters" or "settings":{...}}, what a hook sees as ctx.
static char *context_text(const struct definition *d, const char *field, json_t *value, size_t *len) {
  const int64_t *organisation = d->organisation == JOURNAL_ALL ? NULL : &d->organisation;
  char *text = program_context(d->id, d->name, organisation, field, value);
  *len = text ? strlen(text) : 0;
  return text;
}

static char *sink_context_text(const struct definition *d, const json_t *doc, size_t *len) {
  json_t *settings = sink_open_settings(d->sink, json_object_get(doc, "settings"));
  char *text = settings ? context_text(d, "settings", settings, len) : NULL;
  json_decref(settings);
  return text;
}

// A context is made for what reads it alone: every stream keeps its own, here and in a worker.
static bool make_program(struct definition *d, const json_t *doc, const char *script_label, struct slice source, struct err *err) {
  bool has_map = d->sink->has_map;
  if (!source.len && !has_map) return true;
  size_t context_len = 0, sink_len = 0;
  char *context = source.len ? context_text(d, "parameters", json_object_get(doc, "parameters"), &context_len) : NULL;
  char *sink_context = has_map ? sink_context_text(d, doc, &sink_len) : NULL;
  if ((context || !source.len) && (sink_context || !has_map)) {
    struct program from = {.script = source,
                           .script_name = script_label,
                           .sink = has_map ? d->sink->source : slice_of(""),
                           .sink_name = d->sink->name,
                           .context = slice_make(context, context_len),
                           .sink_context = slice_make(sink_context, sink_len)};
    d->program = program_new(&from, d->script_name ? 0 : d->organisation);
  }
  free(context);
  free(sink_context);
  return d->program != NULL || err_set(err, "out of memory");
}

void definition_version(struct slice source, char version[DEFINITION_VERSION_BYTES]) {
  _Static_assert((int)DEFINITION_VERSION_BYTES == (int)SCRIPT_VERSION_BYTES, "");
  script_files_version(source, version);
}

static bool read_source(struct definition *d, const struct definition_world *world, const json_t *doc, const struct origin *from,
                        struct slice *source, char **own, struct err *err) {
  const json_t *script = json_object_get(doc, "script");
  bool has_script = script && !json_is_null(script);
  if (has_script && !json_is_string(script)) return err_set(err, "'script' must be Lua source in a string, or null");
  struct err before = *err;
  d->script_name = text_field(doc, "script_name", 64, NULL, err);
  if (err->text[0] && !before.text[0]) return false;
  if (has_script && d->script_name) return err_set(err, "'script' and 'script_name' can't both be set: null one of them");
  if (d->script_name) return find_shared_script(d, world, doc, from, source, own, err);
  if (has_script) *source = slice_make(json_string_value(script), json_string_length(script));
  return true;
}

static bool read_script(struct definition *d, const struct definition_world *world, json_t *doc, const struct origin *from,
                        struct err *err) {
  const json_t *parameters = json_object_get(doc, "parameters");
  if (parameters && !json_is_object(parameters)) return err_set(err, "'parameters' must be an object");
  if (!parameters && json_object_set_new(doc, "parameters", json_object()) < 0) return err_set(err, "out of memory");
  char label[128], *own = NULL;
  struct slice source = {0};
  if (!read_source(d, world, doc, from, &source, &own, err)) return false;
  snprintf(label, sizeof label, "%s%s", d->script_name ? d->script_name : "script", d->script_name ? ".lua" : "");
  if (source.len) definition_version(source, d->script_version);
  bool ok = source.len <= LIMIT_SCRIPT_SOURCE_BYTES
                ? make_program(d, doc, label, source, err)
                : err_set(err, "the script is %zu bytes long; at most %d are taken", source.len, LIMIT_SCRIPT_SOURCE_BYTES);
  mem_free(own);
  return ok;
}

static bool set_version(json_t *doc, const char *field, const char *version) {
  if (!*version) return json_object_del(doc, field), true;
  return json_object_set_new(doc, field, json_string(version)) == 0;
}

static void copy_version(char to[DEFINITION_VERSION_BYTES], const char *from) {
  snprintf(to, DEFINITION_VERSION_BYTES, "%s", from ? from : "");
}

// Which version of the script it came from, and which it may go back to.
static bool follow_versions(struct definition *d, json_t *doc, const struct origin *from) {
  const struct definition *old = from->old;
  bool same = old && strcmp(old->script_version, d->script_version) == 0;
  const char *before = old && !old->script_fails ? old->script_version : old ? old->good_version : NULL;
  if (same || !old) {
    copy_version(d->good_version, json_string_value(json_object_get(doc, "good_version")));
    copy_version(d->bad_version, json_string_value(json_object_get(doc, "bad_version")));
    d->took_over_ms = json_integer_value(json_object_get(doc, "took_over_ms"));
  } else if (from->goes_back) {
    copy_version(d->bad_version, old->script_version);
  } else if (d->script_version[0] && strcmp(before, d->script_version) != 0) {
    copy_version(d->good_version, before);
  }
  if (!d->took_over_ms) d->took_over_ms = clock_ms();
  return set_version(doc, "script_version", d->script_version) && set_version(doc, "good_version", d->good_version) &&
         set_version(doc, "bad_version", d->bad_version) &&
         json_object_set_new(doc, "took_over_ms", json_integer(d->took_over_ms)) == 0;
}

static bool set_defaults(json_t *doc) {
  static const char *const nulls[] = {"script", "script_name", "organisation_id", NULL};
  bool ok = true;
  for (const char *const *field = nulls; *field; field++)
    if (!json_object_get(doc, *field)) ok = ok && json_object_set_new(doc, *field, json_null()) == 0;
  if (!json_object_get(doc, "history_days")) ok = ok && json_object_set_new(doc, "history_days", json_integer(0)) == 0;
  if (!json_object_get(doc, "in_flight")) ok = ok && json_object_set_new(doc, "in_flight", json_integer(8)) == 0;
  if (!json_object_get(doc, "active")) ok = ok && json_object_set_new(doc, "active", json_true()) == 0;
  return ok;
}

static bool read_plain(struct definition *d, json_t *doc, struct err *err) {
  json_int_t number;
  const json_t *active = json_object_get(doc, "active");
  const char *id = json_string_value(json_object_get(doc, "id"));
  snprintf(d->id, sizeof d->id, "%s", id ? id : "");
  d->created_ms = json_integer_value(json_object_get(doc, "created_ms"));
  d->start = (uint64_t)json_integer_value(json_object_get(doc, "start"));
  if (!(d->name = text_field(doc, "name", DEFINITION_NAME_BYTES, "", err))) return false;
  if (!*d->name) return err_set(err, "'name' is missing");
  if (!(d->type = text_field(doc, "type", 32, "", err))) return false;
  d->kinds = record_kinds_of_type(d->type);
  if (!d->kinds) return err_set(err, "'type' must be usage, events, usage_and_events or alerts");
  if (!json_is_boolean(active)) return err_set(err, "'active' must be true or false");
  d->active = json_is_true(active);
  if (!integer_field(doc, "in_flight", 1, LIMIT_IN_FLIGHT, 8, &number, err)) return false;
  d->in_flight = (uint32_t)number;
  if (!integer_field(doc, "history_days", 0, 7, 0, &number, err)) return false;
  if (number) return err_set(err, "'history_days' is not supported by this version: use 0");
  return read_organisation(d, doc, err);
}

// The text of a member's value in the text of a compact object that has it.
static struct slice member(struct slice object, const char *quoted_name) {
  const char *at = object.at + 1, *end = object.at + object.len;
  for (;;) {
    size_t name = json_skip(slice_make(at, (size_t)(end - at)));
    const char *value = at + name + 1;
    size_t len = json_skip(slice_make(value, (size_t)(end - value)));
    if (slice_is(slice_make(at, name), quoted_name)) return slice_make(value, len);
    assert(value + len < end);
    at = value + len + 1;
  }
}

static const char *copy_text(char **at, const char *text) {
  if (!text) return NULL;
  size_t bytes = strlen(text) + 1;
  char *copy = memcpy(*at, text, bytes);
  *at += bytes;
  return copy;
}

// The definition with all its texts in one piece of memory. Takes the references in `d`, unless it fails.
static struct definition *keep(const struct definition *d, struct slice document) {
  size_t names = strlen(d->name) + strlen(d->type) + (d->script_name ? strlen(d->script_name) : 0) + 3;
  struct owned *owned = mem_alloc(sizeof *owned + document.len + names);
  if (!owned) return NULL;
  atomic_init(&owned->refs, 1);
  owned->definition = *d;
  memcpy(owned->texts, document.at, document.len);
  char *at = owned->texts + document.len;
  owned->definition.document = slice_make(owned->texts, document.len);
  owned->definition.settings = member(owned->definition.document, "\"settings\"");
  owned->definition.name = copy_text(&at, d->name);
  owned->definition.type = copy_text(&at, d->type);
  owned->definition.script_name = copy_text(&at, d->script_name);
  return &owned->definition;
}

static struct definition *keep_with(const struct definition *d, const json_t *doc) {
  struct buf text;
  buf_init(&text, DOCUMENT_BYTES);
  struct definition *kept = json_text_write(&text, doc) ? keep(d, buf_slice(&text)) : NULL;
  buf_fini(&text);
  return kept;
}

static bool check_files(const struct definition *d, const json_t *document, const json_t *set, struct err *err) {
  return !set || sink_check_files(d->sink, json_object_get(document, "settings"), json_object_get(set, "settings"), err) ||
         err_prepend(err, "sink '%s'", d->sink->name);
}

// Takes the document's reference in any case; NULL: out of memory.
static struct definition *build(const struct definition_world *world, json_t *document, const struct origin *from, struct err *err) {
  struct definition read = {.id = ""}, *kept = NULL;
  if (((document && set_defaults(document)) || err_set(err, "out of memory")) && read_plain(&read, document, err) &&
      read_sink(&read, world, document, from, err) && check_files(&read, document, from->set, err) &&
      read_script(&read, world, document, from, err)) {
    kept = follow_versions(&read, document, from) ? keep_with(&read, document) : NULL;
    if (!kept) err_set(err, "out of memory");
  }
  if (!kept) release(&read);
  json_decref(document);
  return kept;
}

static json_t *document_of(const struct definition *d) {
  return json_loadb(d->document.at, d->document.len, 0, NULL);
}

struct definition *definition_create(const struct definition_world *world, const json_t *body, uint64_t start, struct err *err) {
  if (!json_is_object(body)) return err_set(err, "the body must be a JSON object"), NULL;
  if (!check_known(body, NULL, err)) return NULL;
  char id[RAND_ID_BYTES];
  rand_id("st", id);
  json_t *document = json_deep_copy(body);
  if (document && (json_object_set_new(document, "id", json_string(id)) < 0 ||
                   json_object_set_new(document, "created_ms", json_integer(clock_ms())) < 0 ||
                   json_object_set_new(document, "start", json_integer((json_int_t)start)) < 0)) {
    json_decref(document);
    document = NULL;
  }
  return build(world, document, &(struct origin){.set = body}, err);
}

// The source of its shared script, as it runs.
static struct slice shared_source(const struct definition *d) {
  return d->script_name ? definition_script(d) : (struct slice){0};
}

static bool check_fixed(const json_t *document, const json_t *body, struct err *err) {
  for (const char *const *field = fixed_fields; *field; field++) {
    const json_t *value = json_object_get(body, *field);
    if (value && !json_equal(value, json_object_get(document, *field)))
      return err_set(err, "'%s' can't be changed: make a new stream", *field);
  }
  return true;
}

static bool change_settings(const struct sink *sink, json_t *document, const json_t *change) {
  if (!change) return true;
  json_t *merged = sink_merge_settings(sink, json_object_get(document, "settings"), change);
  return merged && json_object_set_new(document, "settings", merged) == 0;
}

// Settings are changed one by one, all else as a whole. A status is the engine's to say: sent back, it says nothing.
static bool apply(const struct sink *sink, json_t *document, const json_t *body, struct err *err) {
  const char *name;
  json_t *value, *settings = json_object_get(body, "settings");
  if (settings && !json_is_object(settings)) return err_set(err, "'settings' must be an object");
  bool ok = change_settings(sink, document, settings);
  json_object_foreach((json_t *)body, name, value) {
    if (value != settings && strcmp(name, "status") != 0) ok = ok && json_object_set(document, name, value) == 0;
  }
  return ok || err_set(err, "out of memory");
}

struct definition *definition_change(const struct definition_world *world, const struct definition *old, const json_t *body,
                                     struct err *err) {
  if (!json_is_object(body)) return err_set(err, "the body must be a JSON object"), NULL;
  json_t *document = document_of(old);
  if (!document) return err_set(err, "out of memory"), NULL;
  if (check_known(body, shown_fields, err) && check_fixed(document, body, err) && apply(old->sink, document, body, err)) {
    const char *name = json_string_value(json_object_get(document, "script_name"));
    bool same = name && old->script_name && strcmp(name, old->script_name) == 0;
    return build(world, document, &(struct origin){.old = old, .source = same ? shared_source(old) : (struct slice){0}, .set = body}, err);
  }
  json_decref(document);
  return NULL;
}

struct definition *definition_load(const struct definition_world *world, const char *id, struct slice document, struct err *err) {
  json_error_t why;
  json_t *doc = json_loadb(document.at, document.len, JSON_REJECT_DUPLICATES, &why);
  if (!doc) return err_set(err, "stream %s: its definition can't be read: %s", id, why.text), NULL;
  struct definition *d = build(world, doc, &(struct origin){0}, err);
  if (!d) err_prepend(err, "stream %s", id);
  return d;
}

struct definition *definition_set_active(const struct definition_world *world, const struct definition *old, bool active,
                                         struct err *err) {
  json_t *document = document_of(old);
  if (document && json_object_set_new(document, "active", json_boolean(active)) < 0) {
    json_decref(document);
    document = NULL;
  }
  return build(world, document, &(struct origin){.old = old, .source = shared_source(old), .sink = old->sink}, err);
}

struct definition *definition_renew(const struct definition_world *world, const struct definition *old, struct slice source,
                                    struct err *err) {
  struct origin from = {.old = old, .source = source.at ? source : shared_source(old), .sink = source.at ? old->sink : NULL};
  return build(world, document_of(old), &from, err);
}

struct definition *definition_go_back(const struct definition_world *world, const struct definition *old, struct slice source,
                                      struct err *err) {
  json_t *document = document_of(old);
  if (document && !old->script_name && json_object_set_new(document, "script", json_stringn(source.at, source.len)) < 0) {
    json_decref(document);
    document = NULL;
  }
  return build(world, document, &(struct origin){.old = old, .source = source, .sink = old->sink, .goes_back = true}, err);
}

json_t *definition_show(const struct definition *d) {
  json_t *shown = document_of(d);
  for (const char *const *field = kept_fields + 1; shown && *field; field++) json_object_del(shown, *field);
  if (shown && json_object_set_new(shown, "settings", sink_mask_settings(d->sink, json_object_get(shown, "settings"))) < 0) {
    json_decref(shown);
    shown = NULL;
  }
  return shown;
}

struct slice definition_script(const struct definition *d) {
  return d->program ? d->program->script : slice_of("");
}
