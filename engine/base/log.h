// log.h - structured lines to stderr: object, action, reason.
//
//   log_warn("stream=%s sink=%s doing=send attempt=%d%s", ..., log_field("error", text))
//   2026-11-20T08:00:00.123Z warn stream=st_1 sink=rest doing=send attempt=3 error="the answer was \"no\""
#pragma once

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum { LOG_FIELD_BYTES = 1024 };

void log_set_level(enum log_level lowest); // default LOG_INFO
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ` name="text"` for texts that come from outside, so that readers of key=value understand them whatever they
// hold: \" \\ \n \r \t and \u00XX inside, cut at LOG_FIELD_BYTES. Nothing at all for NULL and the empty text.
const char *log_field_write(char out[LOG_FIELD_BYTES], const char *name, const char *text);
#define log_field(name, text) log_field_write((char[LOG_FIELD_BYTES]){0}, name, text) // lives for the block

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
