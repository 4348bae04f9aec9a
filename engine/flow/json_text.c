#include "flow/json_text.h"
#include "base/json_write.h"

#include <string.h>

// Without a point it would be read as an integer, of which jansson takes 64 bits and no more.
static bool write_real(struct buf *out, double value) {
  char text[JSON_NUMBER_BYTES];
  size_t len = json_format_real(value, text);
  return len && buf_append(out, text, len) && (memchr(text, '.', len) || memchr(text, 'e', len) || buf_append(out, ".0", 2));
}

static bool write_array(struct buf *out, const json_t *array) {
  size_t i;
  const json_t *element;
  bool ok = buf_append_byte(out, '[');
  json_array_foreach(array, i, element) ok = ok && (!i || buf_append_byte(out, ',')) && json_text_write(out, element);
  return ok && buf_append_byte(out, ']');
}

static bool write_object(struct buf *out, const json_t *object) {
  const char *name;
  json_t *value;
  bool ok = buf_append_byte(out, '{'), first = true;
  json_object_foreach((json_t *)(uintptr_t)object, name, value) {
    ok = ok && (first || buf_append_byte(out, ',')) && json_write_string(out, slice_of(name)) && buf_append_byte(out, ':') &&
         json_text_write(out, value);
    first = false;
  }
  return ok && buf_append_byte(out, '}');
}

bool json_text_write(struct buf *out, const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_OBJECT: return write_object(out, value);
  case JSON_ARRAY: return write_array(out, value);
  case JSON_STRING: return json_write_string(out, slice_make(json_string_value(value), json_string_length(value)));
  case JSON_INTEGER: return json_write_integer(out, json_integer_value(value));
  case JSON_REAL: return write_real(out, json_real_value(value));
  case JSON_TRUE: return buf_append(out, "true", 4);
  case JSON_FALSE: return buf_append(out, "false", 5);
  case JSON_NULL: return buf_append(out, "null", 4);
  }
  return false;
}
