// fields_api.c - GET /api/v1/fields: the dictionary of record fields and event types.
#include "api/app.h"
#include "script/dictionary.h"

static json_t *describe_kinds(unsigned kinds) {
  json_t *list = json_array();
  for (int kind = RECORD_EVENT; kind < RECORD_KINDS; kind++)
    if (kinds >> kind & 1) json_array_append_new(list, json_string(record_kind_name((enum record_kind)kind)));
  return list;
}

static json_t *describe_types(unsigned types) {
  json_t *list = json_array();
  for (int id = 0; types >> id; id++)
    if (types >> id & 1) json_array_append_new(list, json_integer(id));
  return list;
}

static json_t *describe_field(const struct dictionary_field *field) {
  json_t *json = json_pack("{s:s, s:s, s:s, s:o}", "path", field->path, "type", field->type, "meaning",
                           field->meaning, "kinds", describe_kinds(field->kinds));
  if (field->event_types) json_object_set_new(json, "event_types", describe_types(field->event_types));
  return json;
}

static json_t *describe_entries(const struct dictionary_entry *entry) {
  json_t *list = json_array();
  for (; entry->name; entry++)
    json_array_append_new(list, json_pack("{s:i, s:s, s:s*}", "id", (int)entry->id, "name", entry->name,
                                          "meaning", entry->meaning));
  return list;
}

void fields_get(struct route_call *call) {
  json_t *fields = json_array();
  for (size_t i = 0; i < dictionary_field_count; i++)
    json_array_append_new(fields, describe_field(&dictionary_fields[i]));
  json_t *events = describe_entries(dictionary_event_types);
  answer_json(call->request, 200,
              json_pack("{s:o, s:o, s:o, s:o}", "fields", fields, "event_types", events, "event_severities",
                        describe_entries(dictionary_severities), "event_sources",
                        describe_entries(dictionary_sources)));
}
