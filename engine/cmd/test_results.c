#include "cmd/test_results.h"
#include "base/mem.h"
#include "script/spec_coverage.h"

static void free_file(struct test_file *file) {
  for (size_t i = 0; i < file->count; i++) {
    mem_free(file->cases[i].name);
    mem_free(file->cases[i].message);
    mem_free(file->cases[i].details);
  }
  mem_free(file->cases);
  mem_free(file->path);
  mem_free(file);
}

void test_results_fini(struct test_results *results) {
  for (size_t i = 0; i < results->file_count; i++)
    free_file(results->files[i]);
  for (size_t i = 0; i < results->coverage_count; i++) {
    mem_free(results->coverage[i].file);
    mem_free(results->coverage[i].lines);
  }
  mem_free(results->files);
  mem_free(results->coverage);
  *results = (struct test_results){0};
}

// Room for one more.
static void *room(void *array, size_t count, size_t *cap, size_t bytes) {
  if (count < *cap) return array;
  *cap = *cap ? 2 * *cap : 16;
  return mem_must(mem_grow(array, *cap * bytes));
}

static char *copy(struct slice text) {
  return mem_must(mem_copy(text.at ? text.at : "", text.len));
}

struct test_file *test_results_file(struct test_results *results, const char *path) {
  struct test_file *file = mem_must(mem_zero(1, sizeof *file));
  file->path = copy(slice_of(path));
  results->files = room(results->files, results->file_count, &results->file_cap, sizeof *results->files);
  return results->files[results->file_count++] = file;
}

struct test_case *test_results_case(struct test_results *results, struct test_file *file, bool ok,
                                    struct slice name, struct slice message, struct slice details) {
  file->cases = room(file->cases, file->count, &file->cap, sizeof *file->cases);
  struct test_case *added = &file->cases[file->count++];
  *added =
      (struct test_case){.name = copy(name), .message = copy(message), .details = copy(details), .ok = ok};
  file->failed += !ok;
  results->passed += ok;
  results->failed += !ok;
  return added;
}

static struct test_coverage *coverage_of(struct test_results *results, struct slice file, size_t count) {
  for (size_t i = 0; i < results->coverage_count; i++)
    if (slice_is(file, results->coverage[i].file) && results->coverage[i].count == count)
      return &results->coverage[i];
  results->coverage =
      room(results->coverage, results->coverage_count, &results->coverage_cap, sizeof *results->coverage);
  struct test_coverage *added = &results->coverage[results->coverage_count++];
  *added = (struct test_coverage){copy(file), mem_must(mem_zero(count + 1, 1)), count};
  return added;
}

void test_results_cover(struct test_results *results, struct slice file, struct slice lines) {
  struct test_coverage *coverage = coverage_of(results, file, lines.len);
  for (size_t i = 0; i < lines.len; i++)
    if ((uint8_t)lines.at[i] > coverage->lines[i] && (uint8_t)lines.at[i] <= SPEC_LINE_RAN)
      coverage->lines[i] = (uint8_t)lines.at[i];
}
