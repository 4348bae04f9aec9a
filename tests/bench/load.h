// load.h - the records a work posts: bodies made once from templates, of which only ids, times and figures
// are written anew.
//
// Each record carries a serial of its own, 9 digits, in its id and its ICCID (which a script keeps), so that
// the sink knows each record it sees. About 730 bytes a record, 70 % usage, the events by type as in the
// samples; every record has a SIM.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

enum {
  LOAD_ORGANISATION = 80000,     // the first organisation's id
  LOAD_SERIAL_FIRST = 100000000, // serial 0 as a record shows it, so that it never begins with 0
  LOAD_SERIAL_DIGITS = 9,
};
// What stands before the serial in every record, as it was posted or as the script made it.
#define LOAD_ICCID "\"iccid\":\"8988228066"

struct load_mix {
  uint32_t organisations; // numbered from LOAD_ORGANISATION
  uint32_t endpoints;     // spread evenly over the organisations
  uint64_t seed;
};

struct load_body; // one request's body: an array of so many records

struct load_body *load_body_new(const struct load_mix *mix, uint32_t records);
void load_body_free(struct load_body *body); // takes NULL
// Writes it anew with the serials from `serial` on. Borrowed until the next time.
struct slice load_body_write(struct load_body *body, uint64_t serial);
uint32_t load_body_records(const struct load_body *body);
// How many of its records the filter of the third work keeps: usage, events of a severity, and those of
// type 5.
uint32_t load_body_kept(const struct load_body *body);
