// streams_load.c - the streams that the store has, handed to their couriers at start.
#include "base/log.h"
#include "base/mem.h"
#include "flow/streams_parts.h"

#include <stdio.h>

struct addition {
  struct courier_command command;
  struct stream_entry *entry;
};

static void added(struct courier_command *command) {
  struct addition *addition = (struct addition *)command;
  if (!command->ok) {
    log_error("stream=%s doing=start%s", command->definition->id, log_field("error", command->err.text));
    status_set_error(addition->entry->status, command->err.text);
    status_set_state(addition->entry->status, STREAM_ERROR);
  }
  addition->entry->changing = false;
  mem_free(addition);
}

static bool load_one(struct slice key, struct slice value, void *arg) {
  struct streams *all = arg;
  struct err err = {0};
  char id[DEFINITION_ID_BYTES];
  snprintf(id, sizeof id, "%.*s", (int)key.len, key.at);
  struct definition *definition = definition_load(&all->options.world, id, value, &err);
  if (!definition) {
    log_error("stream=%s doing=load%s note=\"it stays in the store\"", id, log_field("error", err.text));
    return true;
  }
  struct addition *addition = mem_must(mem_zero(1, sizeof *addition));
  addition->entry = mem_must(streams_insert(all, definition));
  addition->entry->changing = true;
  if (definition->bad_version[0]) streams_tell_gone_back(addition->entry);
  addition->command = (struct courier_command){.order = COURIER_ADD, .definition = definition, .status = addition->entry->status, .alarm = &addition->entry->alarm,
                                               .reply = all->options.loop, .done = added};
  courier_command(streams_courier(all, definition), &addition->command);
  return true;
}

static void opened(struct courier_command *command) {
  mem_free(command);
}

bool streams_load(struct streams *all, struct err *err) {
  bool ok = store_each(all->options.store, STORE_STREAMS, slice_of(""), slice_of(""), load_one, all);
  for (unsigned i = 0; i < all->options.courier_count; i++) {
    struct courier_command *open = mem_must(mem_zero(1, sizeof *open));
    *open = (struct courier_command){.order = COURIER_OPEN, .reply = all->options.loop, .done = opened};
    courier_command(all->options.couriers[i], open);
  }
  return ok || err_set(err, "can't read the streams from the store");
}
