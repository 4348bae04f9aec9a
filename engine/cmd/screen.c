#include "cmd/screen.h"
#include <sys/ioctl.h>

enum { ROWS = 24, COLUMNS = 80 }; // where the terminal does not say

// Bytes of the first `columns` characters; continuation bytes of UTF-8 take no room.
static size_t cut(struct slice line, size_t columns) {
  size_t len = 0, width = 0;
  for (; len < line.len; len++) {
    width += (line.at[len] & 0xc0) != 0x80;
    if (width > columns) break;
  }
  return len;
}

static size_t count_lines(struct slice text) {
  size_t count = 0;
  for (size_t i = 0; i < text.len; i++)
    count += text.at[i] == '\n';
  return count;
}

static struct slice take_line(struct slice *text) {
  const char *end = memchr(text->at, '\n', text->len);
  struct slice line = slice_make(text->at, end ? (size_t)(end - text->at) : text->len);
  text->at += line.len + (end != NULL);
  text->len -= line.len + (end != NULL);
  return line;
}

void screen_draw(struct slice text, FILE *terminal) {
  struct winsize size = {0};
  if (ioctl(fileno(terminal), TIOCGWINSZ, &size) != 0 || size.ws_row < 3 || size.ws_col < 1)
    size = (struct winsize){.ws_row = ROWS, .ws_col = COLUMNS};
  size_t lines = count_lines(text), room = size.ws_row - 1u; // the cursor stands on the last row
  size_t shown = lines <= room ? lines : room - 1;
  fputs("\033[H", terminal);
  for (size_t i = 0; i < shown; i++) {
    struct slice line = take_line(&text);
    fprintf(terminal, i ? "%.*s\033[K\n" : "\033[1m%.*s\033[0m\033[K\n", (int)cut(line, size.ws_col),
            line.at);
  }
  if (shown < lines) fprintf(terminal, "and %zu more\033[K\n", lines - shown);
  fputs("\033[J", terminal);
}
