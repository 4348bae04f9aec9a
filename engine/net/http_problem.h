// http_problem.h - an error as the body of an HTTP answer (application/problem+json, RFC 9457), and the words
// of a status.
#pragma once
#include "base/buf.h"
#include <stdbool.h>

#define HTTP_PROBLEM_TYPE "application/problem+json"

const char *http_status_title(int status); // "Not Found"; "Unknown" for one that isn't in the table
// {"type":"about:blank","title":...,"status":...,"detail":...}. False: no room in b.
bool http_problem_write(struct buf *b, int status, const char *detail);
