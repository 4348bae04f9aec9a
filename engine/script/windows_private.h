// windows_private.h - what windows.c and windows_state.c share.
#pragma once
#include "script/window_cells.h"

struct window_log;

struct windows {
  struct window_cells cells;
  uint64_t stamp;      // the last one given
  uint64_t pushed_out; // keys
  bool saved;          // changes are kept for windows_take
  bool loaded;         // pairs were put in: the order of use is to be made
  struct window_cell *changed, *last_changed;

  // The open record, and how to take it back.
  bool open;
  uint32_t touched;
  uint64_t begin_stamp, begin_pushed_out;
  struct window_cell *begin_last_changed;
  struct window_log *log;
  uint32_t log_count, log_cap;
  struct buf entries; // of the cells in the log, before they changed
};

void windows_settle_order(struct windows *w);  // after pairs were put in
void windows_clear_changes(struct windows *w); // frees those that are gone
