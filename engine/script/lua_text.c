#include "script/lua_text.h"
#include "base/json_scan.h"

static bool is_control(unsigned char c) {
  return c < 0x20 || c == 0x7f;
}

// Bytes of the character at p; 0: none that is valid. C1 controls (U+0080 to U+009F) count as none.
static size_t character(const char *p, const char *end) {
  const char *bad;
  if ((unsigned char)*p < 0x80) return 1;
  size_t len = json_utf8_length(p, end, &bad);
  bool c1 = len == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
  return c1 ? 0 : len;
}

size_t lua_text_clean(struct slice text, char *out, size_t room) {
  size_t done = 0;
  const char *p = text.at, *end = p + text.len;
  while (p < end) {
    if (is_control((unsigned char)*p)) {
      while (p < end && is_control((unsigned char)*p))
        p++;
      if (done + 1 >= room) break;
      out[done++] = ' ';
      continue;
    }
    size_t len = character(p, end), written = len ? len : 1;
    if (done + written >= room) break;
    if (len)
      memcpy(out + done, p, len);
    else
      out[done] = '?';
    done += written;
    p += written;
  }
  out[done] = 0;
  return done;
}
