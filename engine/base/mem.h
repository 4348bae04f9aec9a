// mem.h - every allocation of the engine's own code, so that tests can make the Nth one fail.
#pragma once
#include <stddef.h>

void *mem_alloc(size_t bytes);              // NULL when out of memory; contents undefined
void *mem_zero(size_t count, size_t bytes); // zeroed; NULL when out of memory or the product overflows
void *mem_grow(void *at, size_t bytes);     // realloc; NULL leaves `at` as it was
char *mem_copy(const char *at, size_t len); // a NUL-terminated copy; NULL when out of memory
void mem_free(void *at);                    // takes NULL
void *mem_must(void *at);                   // at start only: ends the process with a message when `at` is NULL

// Tests: the nth allocation from now on fails (1: the next), and only that one; 0: none.
void mem_fail_at(long nth);
// Tests: how many allocations were asked for since the last mem_fail_at.
long mem_asked(void);
