#include "net/http_problem.h"
#include "base/json_write.h"

static const struct {
  int status;
  const char *title;
} titles[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {507, "Insufficient Storage"},
};

const char *http_status_title(int status) {
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
    if (titles[i].status == status) return titles[i].title;
  return "Unknown";
}

bool http_problem_write(struct buf *b, int status, const char *detail) {
  return buf_printf(b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
                    http_status_title(status), status) &&
         json_write_string(b, slice_of(detail)) && buf_append_byte(b, '}');
}
