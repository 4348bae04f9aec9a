// organisation_order.h - the order of rows by organisation, stable, in time near proportional to their
// number.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct organisation_group {
  int64_t organisation;
  uint32_t rows, at; // how many; where the next one goes
};

struct organisation_order { // buffers it keeps; zeroed at first
  struct organisation_group *groups;
  uint32_t *slots;    // hash table: group + 1
  uint32_t *group_of; // by row
  size_t rows_cap, slots_cap;
  size_t count; // groups
};

// place[i]: where row i goes. False: out of memory.
bool organisation_order(struct organisation_order *o, const int64_t *organisations, uint32_t count,
                        uint32_t *place);
void organisation_order_fini(struct organisation_order *o);
