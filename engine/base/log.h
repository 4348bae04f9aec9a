// log.h - structured lines to stderr: object, action, reason.
//
//   log_warn("stream=%s sink=%s doing=send error=\"%s\" attempt=%d", ...)
//   2026-11-20T08:00:00.123Z warn stream=st_1 sink=rest doing=send error="503" attempt=3
#pragma once

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level lowest); // default LOG_INFO
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
