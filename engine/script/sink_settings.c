// sink_settings.c - a stream's settings against what its sink declares: checked, shown, changed.
#include "base/limits.h"
#include "base/suggest.h"
#include "script/sink_own.h"
#include "script/sink_setting.h"
#include "script/sink_standard.h"

static const char MASK[] = "********";

static const struct sink_setting *find_setting(const struct sink *sink, const char *name) {
  for (size_t i = 0; i < sink->setting_count; i++)
    if (strcmp(sink->settings[i].name, name) == 0) return &sink->settings[i];
  return NULL;
}

static bool is_absent(const json_t *value) {
  return !value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
}

static bool is_mask(const json_t *value) {
  return json_is_string(value) && strcmp(json_string_value(value), MASK) == 0;
}

// ---- check ----

static bool refuse_unknown(const struct sink *sink, const char *name, struct err *err) {
  const char *words[LIMIT_SINK_SETTINGS + 1] = {NULL};
  for (size_t i = 0; i < sink->setting_count; i++)
    words[i] = sink->settings[i].name;
  const char *meant = suggest(name, words);
  if (!meant) return err_set(err, "setting %.60s: unknown to sink %s", name, sink->name);
  return err_set(err, "setting %.60s: unknown to sink %s, did you mean \"%s\"?", name, sink->name, meant);
}

static bool check_names(const struct sink *sink, const json_t *settings, struct err *err) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)settings, name, value) {
    if (!find_setting(sink, name)) return refuse_unknown(sink, name, err);
  }
  return true;
}

static bool is_needed(const struct sink_setting *s, const json_t *settings, const struct sink *sink) {
  if (!s->needed_by) return s->required;
  const json_t *other = json_object_get(settings, s->needed_by);
  if (is_absent(other)) other = find_setting(sink, s->needed_by)->initial;
  return json_is_string(other) && strcmp(json_string_value(other), s->needed_value) == 0;
}

// Puts the setting's value, or its default, into `checked`.
static bool check_one(const struct sink *sink, const struct sink_setting *s, const json_t *settings,
                      json_t *checked, struct err *err) {
  struct err why = {0};
  json_t *value = json_object_get(settings, s->name);
  if (is_absent(value)) {
    value = s->initial;
    if (!value && is_needed(s, settings, sink)) {
      if (!s->needed_by) return err_set(err, "setting %s: is required", s->name);
      return err_set(err, "setting %s: is required when %s is \"%s\"", s->name, s->needed_by,
                     s->needed_value);
    }
  } else if (s->secret && is_mask(value)) {
    return err_set(err, "setting %s: this is the mask of a secret, not its value", s->name);
  } else if (!sink_setting_fits(s, value, &why)) {
    return err_set(err, "setting %s: %s", s->name, why.text);
  }
  return !value || json_object_set(checked, s->name, value) == 0 || err_set(err, "out of memory");
}

json_t *sink_check_settings(const struct sink *sink, const json_t *settings, struct err *err) {
  if (settings && !json_is_object(settings)) {
    err_set(err, "settings: must be an object");
    return NULL;
  }
  json_t *checked = json_object();
  bool ok = checked ? check_names(sink, settings, err) : err_set(err, "out of memory");
  for (size_t i = 0; i < sink->setting_count && ok; i++)
    ok = check_one(sink, &sink->settings[i], settings, checked, err);
  if (ok && sink_standard_check(((const struct sink_own *)sink)->standard, checked, err)) return checked;
  json_decref(checked);
  return NULL;
}

bool sink_check_files(const struct sink *sink, const json_t *settings, const json_t *changed,
                      struct err *err) {
  return sink_standard_check_files(((const struct sink_own *)sink)->standard, settings, changed, err);
}

// ---- show and change ----

json_t *sink_mask_settings(const struct sink *sink, const json_t *settings) {
  json_t *shown = json_deep_copy(settings);
  for (size_t i = 0; shown && i < sink->setting_count; i++) {
    const char *name = sink->settings[i].name;
    if (!sink->settings[i].secret || is_absent(json_object_get(shown, name))) continue;
    if (json_object_set_new(shown, name, json_string(MASK)) == 0) continue;
    json_decref(shown); // better nothing than a secret
    shown = NULL;
  }
  return shown;
}

json_t *sink_open_settings(const struct sink *sink, const json_t *settings) {
  json_t *open = json_copy((json_t *)(uintptr_t)settings);
  for (size_t i = 0; open && i < sink->setting_count; i++)
    if (sink->settings[i].secret) json_object_del(open, sink->settings[i].name);
  return open;
}

static int change_one(const struct sink *sink, json_t *settings, const char *name, json_t *value) {
  const struct sink_setting *s = find_setting(sink, name);
  if (s && s->secret && is_mask(value)) return 0;
  if (!json_is_null(value)) return json_object_set(settings, name, value);
  json_object_del(settings, name);
  return 0;
}

json_t *sink_merge_settings(const struct sink *sink, const json_t *settings, const json_t *change) {
  json_t *merged = settings ? json_deep_copy(settings) : json_object(), *value;
  const char *name;
  json_object_foreach((json_t *)(uintptr_t)change, name, value) {
    if (!merged || change_one(sink, merged, name, value) == 0) continue;
    json_decref(merged);
    return NULL;
  }
  return merged;
}

// ---- the sink as data ----

static void set_text(json_t *object, const char *name, const char *text) {
  if (text) json_object_set_new(object, name, json_string(text));
}

static json_t *describe_required(const struct sink_setting *s) {
  if (!s->needed_by) return json_boolean(s->required);
  return json_pack("{s:s}", s->needed_by, s->needed_value);
}

static json_t *describe_setting(const struct sink_setting *s) {
  json_t *out =
      json_pack("{s:s, s:s, s:s, s:o, s:b}", "name", s->name, "label", s->label, "type",
                sink_setting_type_name(s->type), "required", describe_required(s), "secret", s->secret);
  if (!out) return NULL;
  set_text(out, "help", s->help);
  if (s->initial && !s->secret) json_object_set(out, "default", s->initial);
  if (s->type == SINK_INTEGER || s->type == SINK_NUMBER) {
    json_object_set_new(out, "min", json_real(s->min));
    json_object_set_new(out, "max", json_real(s->max));
  }
  if (s->choices) {
    json_t *choices = json_array();
    for (const char *const *c = s->choices; *c; c++)
      json_array_append_new(choices, json_string(*c));
    json_object_set_new(out, "choices", choices);
  }
  return out;
}

static json_t *describe_kinds(unsigned mask) {
  json_t *kinds = json_array();
  for (unsigned kind = RECORD_EVENT; kind < RECORD_KINDS; kind++)
    if (mask & 1u << kind)
      json_array_append_new(kinds, json_string(record_kind_name((enum record_kind)kind)));
  return kinds;
}

json_t *sink_describe(const struct sink *sink) {
  json_t *settings = json_array();
  for (size_t i = 0; i < sink->setting_count; i++)
    json_array_append_new(settings, describe_setting(&sink->settings[i]));
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:{s:i, s:i, s:f}}", "name", sink->name, "title", sink->title,
                   "version", sink->version, "accepts", describe_kinds(sink->accepts), "settings", settings,
                   "batch", "records", (int)sink->batch_records, "bytes", (int)sink->batch_bytes, "seconds",
                   sink->batch_ms / 1000.0);
}
