// api_list.h - the API's lists, read page by page and printed as a table or as JSON.
#pragma once
#include "base/json_tape.h"
#include "cmd/api_call.h"

// Called with each item. The tape is the whole page's and holds for the call.
typedef void (*api_list_fn)(void *arg, const struct json_tape *page, uint32_t item);
// All items of the list at `path` ("/api/v1/streams"), page after page.
bool api_list_each(struct api_call *api, const char *path, api_list_fn fn, void *arg, struct err *err);

// A value as a table shows it: a text unescaped, an array's elements behind one another, "-" for none
// (mem_free).
char *api_list_cell(const struct json_tape *page, uint32_t value);

struct api_list_column {
  const char *head, *path; // path: of the value in an item, such as "status.state"
};
// Prints the list on stdout: a table of these columns, ended by one without a head, or one object
// {"items":[...],"next":null} with all items byte for byte as they came.
bool api_list_print(struct api_call *api, const char *path, const struct api_list_column *columns, bool json,
                    struct err *err);
