// app.h - the engine as its HTTP interface sees it.
#pragma once
#include "flow/streams.h"
#include "journal/journal.h"
#include "journal/store.h"
#include "net/http_server.h"
#include "net/work_desk.h"
#include "script/pool.h"
#include "script/sink.h"
#include <jansson.h>

enum { TOKEN_BYTES = 128 };

struct ingest_numbers {
  uint64_t accepted[RECORD_KINDS], duplicates, rejected;
};

struct app {
  struct loop *loop;
  struct journal *journal;
  struct store *store;
  struct pool *pool;
  struct sink_set *sinks;
  struct streams *streams;
  struct work_desk *desk;      // for what waits for the disk or takes time
  const char *scripts_folder;  // of shared scripts
  unsigned trials;             // of scripts, under way
  struct budget *budget;
  size_t max_body;
  char operator_token[TOKEN_BYTES];
  struct json_tape tape;         // of the record being looked at
  struct ingest_numbers numbers;
  bool ready;                    // streams are loaded
};

// Where a request goes; the table of routes is in routes.c. `id` is the part of the path that the route leaves open.
struct route_call {
  struct app *app;
  struct http_request *request;
  char id[128];
};
void app_handle(struct http_request *request, void *app); // http_server_options.handle

// ---- handlers, by file ----
void records_post(struct route_call *call);                  // records.c
void streams_list(struct route_call *call);                  // streams_api.c
void streams_post(struct route_call *call);
void streams_get(struct route_call *call);
void streams_patch(struct route_call *call);
void streams_delete(struct route_call *call);
void streams_activate(struct route_call *call);
void streams_deactivate(struct route_call *call);
void streams_test(struct route_call *call);                  // probe_api.c
void dead_letters_list(struct route_call *call);             // dead_api.c
void scripts_list(struct route_call *call);                  // scripts_api.c
void scripts_get(struct route_call *call);
void scripts_put(struct route_call *call);
void scripts_delete(struct route_call *call);
void scripts_try(struct route_call *call);                   // try_api.c
void alerts_list(struct route_call *call);                   // alerts_api.c
void fields_get(struct route_call *call);                    // fields_api.c
void root_get(struct route_call *call);                      // info_api.c
void sinks_list(struct route_call *call);
void health_get(struct route_call *call);
void ready_get(struct route_call *call);
void metrics_get(struct route_call *call);                   // metrics.c

// ---- answers ----
void answer_json(struct http_request *request, int status, json_t *body); // takes the reference; NULL: 503 out of memory
// The request's body as JSON, or NULL after a 4xx answer. New reference.
json_t *request_json(struct http_request *request);
json_t *request_json_of(struct http_request *request, struct slice body); // the same for what stands for its body
bool media_type_is(const char *type, const char *name); // parameters and case aside
// ?limit= (1 to 1,000, default 100) and ?after=; false after a 400 answer.
struct page {
  size_t limit;
  char after[128];
};
bool request_page(struct http_request *request, struct page *page);
