#include "cmd/test_report.h"
#include "script/spec_coverage.h"

#include <string.h>

bool test_format_of(const char *name, enum test_format *out) {
  static const char *const names[] = {[TEST_PRETTY] = "pretty", [TEST_TAP] = "tap", [TEST_JUNIT] = "junit"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) {
      *out = (enum test_format)i;
      return true;
    }
  return false;
}

// ---- texts ----

// The text's lines, each with `front` before it.
static void print_lines(FILE *out, const char *text, const char *front) {
  while (*text) {
    size_t len = strcspn(text, "\n");
    fprintf(out, "%s%.*s\n", front, (int)len, text);
    text += len + (text[len] == '\n');
  }
}

// "file:line: message"; a message that has its own place stands alone.
static void print_place(FILE *out, const struct test_file *file, const struct test_case *c) {
  if (c->failed_line)
    fprintf(out, "%s:%u: %s", file->path, c->failed_line, c->message);
  else
    fputs(c->message, out);
}

// ---- pretty ----

enum colour { GREEN = 32, RED = 31, BOLD = 1 };

static void print_coloured(const struct test_report *r, enum colour colour, const char *text) {
  if (r->colour)
    fprintf(r->out, "\033[%dm%s\033[0m", colour, text);
  else
    fputs(text, r->out);
}

static void pretty_case(const struct test_report *r, const struct test_file *file,
                        const struct test_case *c) {
  fputs("  ", r->out);
  print_coloured(r, c->ok ? GREEN : RED, c->ok ? "ok    " : "FAILED");
  fprintf(r->out, "  %s", c->name);
  if (c->ok && c->message[0]) fprintf(r->out, " (%s)", c->message);
  fputc('\n', r->out);
  if (c->ok) return;
  fputs("          ", r->out);
  print_place(r->out, file, c);
  fputc('\n', r->out);
  print_lines(r->out, c->details, "          ");
}

static void pretty_file(const struct test_report *r, const struct test_file *file) {
  print_coloured(r, BOLD, file->path);
  fputc('\n', r->out);
  for (size_t i = 0; i < file->count; i++)
    pretty_case(r, file, &file->cases[i]);
}

// ---- TAP ----

// A description must not hold a '#' that begins a directive.
static void tap_text(FILE *out, const char *text) {
  for (; *text; text++) {
    if (*text == '#' || *text == '\\') fputc('\\', out);
    fputc(*text == '\n' ? ' ' : *text, out);
  }
}

// A YAML string in double quotes.
static void yaml_string(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', out);
    if ((unsigned char)*text < 32)
      fprintf(out, "\\x%02x", (unsigned char)*text);
    else
      fputc(*text, out);
  }
  fputs("\"\n", out);
}

static void tap_case(struct test_report *r, const struct test_file *file, const struct test_case *c) {
  fprintf(r->out, "%s %zu - ", c->ok ? "ok" : "not ok", ++r->number);
  tap_text(r->out, file->path);
  fputs(": ", r->out);
  tap_text(r->out, c->name);
  fputc('\n', r->out);
  if (c->ok) return;
  fputs("  ---\n  message: ", r->out);
  yaml_string(r->out, c->message);
  fputs("  file: ", r->out);
  yaml_string(r->out, file->path);
  if (c->failed_line) fprintf(r->out, "  line: %u\n", c->failed_line);
  if (c->details[0]) fputs("  details: |2\n", r->out);
  print_lines(r->out, c->details, "    ");
  fputs("  ...\n", r->out);
}

// ---- JUnit ----

static bool is_continuation(char c) {
  return ((unsigned char)c & 0xc0) == 0x80;
}

// Bytes of the character of XML 1.0 at `text`; 0: what is there is none.
static size_t xml_char(const char *text) {
  unsigned char first = (unsigned char)*text;
  size_t len = first < 0x80                    ? 1
               : first >= 0xc2 && first < 0xe0 ? 2
               : first >= 0xe0 && first < 0xf0 ? 3
               : first >= 0xf0 && first < 0xf5 ? 4
                                               : 0;
  if (len == 1) return first >= 32 || first == '\n' || first == '\t' || first == '\r';
  for (size_t i = 1; i < len; i++)
    if (!is_continuation(text[i])) return 0;
  unsigned char second = len ? (unsigned char)text[1] : 0;
  bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  bool surrogate = first == 0xed && second >= 0xa0, beyond = first == 0xf4 && second >= 0x90;
  bool none = first == 0xef && second == 0xbf && (unsigned char)text[2] >= 0xbe; // U+FFFE, U+FFFF
  return overlong || surrogate || beyond || none ? 0 : len;
}

static void xml_text(FILE *out, const char *text) {
  while (*text) {
    size_t len = xml_char(text);
    switch (*text) {
    case '<':
      fputs("&lt;", out);
      break;
    case '>':
      fputs("&gt;", out);
      break;
    case '&':
      fputs("&amp;", out);
      break;
    case '"':
      fputs("&quot;", out);
      break;
    case '\n':
      fputs("&#10;", out);
      break;
    case '\t':
      fputs("&#9;", out);
      break;
    case '\r':
      fputs("&#13;", out);
      break;
    default:
      fprintf(out, "%.*s", len ? (int)len : 1, len ? text : "?");
    }
    text += len ? len : 1;
  }
}

// The first line.
static void xml_line(FILE *out, const char *text) {
  char line[400];
  snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
  xml_text(out, line);
}

static void xml_attribute(FILE *out, const char *name, const char *value) {
  fprintf(out, " %s=\"", name);
  xml_text(out, value);
  fputc('"', out);
}

static void junit_case(FILE *out, const struct test_file *file, const struct test_case *c) {
  fputs("    <testcase", out);
  xml_attribute(out, "name", c->name);
  xml_attribute(out, "classname", file->path);
  xml_attribute(out, "file", file->path);
  if (c->line) fprintf(out, " line=\"%u\"", c->line);
  fprintf(out, " time=\"%.6f\"%s>\n", c->seconds, c->ok ? "/" : "");
  if (c->ok) return;
  fputs("      <failure", out);
  fputs(" message=\"", out);
  xml_text(out, c->message);
  if (c->details[0]) fputs(": ", out);
  xml_line(out, c->details);
  fputs("\">", out);
  if (c->failed_line) {
    xml_text(out, file->path);
    fprintf(out, ":%u: ", c->failed_line);
  }
  xml_text(out, c->message);
  fputs("&#10;", out);
  xml_text(out, c->details);
  fputs("</failure>\n    </testcase>\n", out);
}

static void junit(FILE *out, const struct test_results *results) {
  double seconds = 0;
  for (size_t i = 0; i < results->file_count; i++)
    seconds += results->files[i]->seconds;
  fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
  fprintf(out, "<testsuites name=\"sluice\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" time=\"%.6f\">\n",
          results->passed + results->failed, results->failed, seconds);
  for (size_t i = 0; i < results->file_count; i++) {
    const struct test_file *file = results->files[i];
    fputs("  <testsuite", out);
    xml_attribute(out, "name", file->path);
    fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\" time=\"%.6f\">\n", file->count,
            file->failed, file->seconds);
    for (size_t j = 0; j < file->count; j++)
      junit_case(out, file, &file->cases[j]);
    fputs("  </testsuite>\n", out);
  }
  fputs("</testsuites>\n", out);
}

// ---- all of them ----

void test_report_begin(struct test_report *r) {
  if (r->format == TEST_TAP) fputs("TAP version 13\n", r->out);
}

void test_report_file(struct test_report *r, const struct test_file *file) {
  if (!file->count) return;
  if (r->format == TEST_PRETTY) pretty_file(r, file);
  for (size_t i = 0; r->format == TEST_TAP && i < file->count; i++)
    tap_case(r, file, &file->cases[i]);
  fflush(r->out);
}

void test_report_end(struct test_report *r, const struct test_results *results) {
  if (r->format == TEST_JUNIT) junit(r->out, results);
  if (r->format == TEST_TAP) fprintf(r->out, "1..%zu\n", r->number);
  if (r->format == TEST_PRETTY) {
    fputc('\n', r->out);
    fprintf(r->out, "%zu passed, %zu failed\n", results->passed, results->failed);
  }
}

// "3-5, 9": lines that never ran; empty ones between two of them don't part them.
static void print_never(const struct test_coverage *c, FILE *out) {
  const char *comma = " ";
  for (size_t i = 0; i < c->count;) {
    if (c->lines[i] != SPEC_LINE_NEVER) {
      i++;
      continue;
    }
    size_t last = i;
    for (size_t j = i; j < c->count && c->lines[j] != SPEC_LINE_RAN; j++)
      if (c->lines[j] == SPEC_LINE_NEVER) last = j;
    fprintf(out, last > i ? "%s%zu-%zu" : "%s%zu", comma, i + 1, last + 1);
    comma = ", ";
    i = last + 1;
  }
}

void test_report_coverage(const struct test_results *results, const char *front, FILE *out) {
  for (size_t i = 0; i < results->coverage_count; i++) {
    const struct test_coverage *c = &results->coverage[i];
    size_t ran = 0, never = 0;
    for (size_t line = 0; line < c->count; line++) {
      ran += c->lines[line] == SPEC_LINE_RAN;
      never += c->lines[line] == SPEC_LINE_NEVER;
    }
    double percent = ran + never ? 100.0 * (double)ran / (double)(ran + never) : 100;
    fprintf(out, "%s%5.1f %%  %s", front, percent, c->file);
    if (never) fputs(", never run: line", out);
    print_never(c, out);
    fputc('\n', out);
  }
}
