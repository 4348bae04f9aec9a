// table.h - rows of text in columns as wide as they must be; the heads are bold on a terminal.
#pragma once
#include <stddef.h>
#include <stdio.h>

struct table;

struct table *table_new(const char *const *heads, size_t columns); // heads stay the caller's; never NULL
void table_free(struct table *table);                              // takes NULL
void table_row(struct table *table, const char *const *cells);     // copies, without control characters
void table_print(const struct table *table, FILE *out);
