// http_head.h - how long a request is going to be, by its head. A hint, to make room ahead: what counts is evhttp's reading.
#pragma once
#include <stddef.h>

// Head and body together, of the request that begins at `at`. 0: the head is not whole, or has no length, or a coding.
// Where a length is given, evhttp does not wait for more than that. *body_bytes: of its body; 0: not known.
size_t http_head_request_bytes(const char *at, size_t len, size_t *body_bytes);
