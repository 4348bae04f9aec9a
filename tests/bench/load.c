// load.c - templates with <marks>, laid out once to bodies with a list of the places to write anew.
#include "load.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

enum mark {
  MARK_SERIAL,       // 9 digits: unique
  MARK_ORGANISATION, // 5 digits
  MARK_ENDPOINT,     // 7 digits, those of one organisation
  MARK_COST,         // 0.dddddddd
  MARK_RX,           // 0.dddddd
  MARK_TX,
  MARK_TOTAL, // the sum of the two before
  MARK_DAY,   // 2026-11-20
  MARK_CLOCK, // 08:21:11
  MARK_MILLI, // 3 digits
  MARKS
};

static const struct {
  const char *text;
  uint32_t width;
} marks[MARKS] = {
    [MARK_SERIAL] = {"<serial>", 9},
    [MARK_ORGANISATION] = {"<org>", 5},
    [MARK_ENDPOINT] = {"<endpoint>", 7},
    [MARK_COST] = {"<cost>", 10},
    [MARK_RX] = {"<rx>", 8},
    [MARK_TX] = {"<tx>", 8},
    [MARK_TOTAL] = {"<total>", 8},
    [MARK_DAY] = {"<day>", 10},
    [MARK_CLOCK] = {"<clock>", 8},
    [MARK_MILLI] = {"<ms>", 3},
};

static const char usage_text[] =
    "{\"cost\":<cost>,\"id\":<serial>,\"operator\":{\"id\":48,\"name\":\"SFR "
    "Cegetel\",\"country\":{\"id\":68,\"name\":\"France\"}},"
    "\"organisation\":{\"id\":<org>,\"name\":\"Customer "
    "<org>\"},\"tariff\":{\"ratezone\":{\"id\":83,\"name\":\"Europe_I\"},"
    "\"id\":64,\"name\":\"Global Pro "
    "I\"},\"traffic_type\":{\"id\":5,\"name\":\"Data\"},\"endpoint\":{\"id\":<endpoint>},"
    "\"imsi\":\"90140530<endpoint>\",\"volume\":{\"rx\":<rx>,\"tx\":<tx>,\"total\":<total>},"
    "\"start_timestamp\":\"<day> <clock>\",\"sim\":{\"iccid\":\"8988228066<serial>\",\"id\":2<endpoint>},"
    "\"currency\":{\"symbol\":\"\u20ac\",\"code\":\"EUR\",\"id\":1},\"end_timestamp\":\"<day> <clock>\"}";

// %1$s: description, %2$d: event type, %3$d %4$s: severity, %5$s: detail.
static const char event_text[] =
    "{\"id\":<serial>,\"alert\":false,\"description\":\"%1$s. Endpoint '<endpoint>' \\\"quoted\\\" \\\\ "
    "path.\","
    "\"timestamp\":\"<day>T<clock>.<ms>+0000\",\"event_type\":{\"id\":%2$d,\"description\":\"%1$s\"},"
    "\"event_source\":{\"id\":0,\"description\":\"Network\"},\"event_severity\":{\"id\":%3$d,\"description\":"
    "\"%4$s\"},"
    "\"organisation\":{\"id\":<org>,\"name\":\"Customer "
    "<org>\"},\"endpoint\":{\"id\":<endpoint>,\"name\":\"GPS Tracker "
    "<endpoint>\",\"ip_address\":\"100.79.0.135\",\"tags\":\"fleet,truck\",\"imei\":\"86278903<endpoint>\"},"
    "\"imsi\":{\"id\":3<endpoint>,\"imsi\":\"90140530<endpoint>\",\"import_date\":\"2019-06-10T14:12:01.000+"
    "0000\"},"
    "\"sim\":{\"id\":2<endpoint>,\"iccid\":\"8988228066<serial>\",\"production_date\":\"2019-06-17T11:11:11."
    "000+0000\"}%5$s}";

static const char detail_none[] = "";
static const char detail_location[] = ",\"detail\":{\"id\":5,\"name\":\"Swisscom\",\"country\":{\"id\":41,"
                                      "\"name\":\"Switzerland\",\"country_code\":\"41\","
                                      "\"mcc\":\"228\",\"iso_code\":\"ch\"},\"tapcode\":[{\"id\":2,"
                                      "\"tapcode\":\"DEUD2\"}],\"mnc\":[{\"id\":3,\"mnc\":\"01\"}]}";
static const char detail_pdp[] =
    ",\"detail\":{\"id\":48,\"name\":\"SFR "
    "Cegetel\",\"volume\":{\"rx\":<rx>,\"tx\":<tx>,\"total\":<total>},\"pdp_context\":"
    "{\"mcc\":\"208\",\"tunnel_created\":\"<day>T<clock>\",\"ggsn_control_plane_ip_address\":\"185.57.216."
    "183\","
    "\"pdp_context_id\":\"<serial>\",\"imeisv\":\"898830300<endpoint>\",\"region\":\"eu-west-1\",\"lac\":"
    "23071,\"sac\":4857,"
    "\"rat_type\":1,\"gtp_version\":\"1\",\"ue_ip_address\":\"100.105.0.183\",\"mnc\":\"10\","
    "\"sgsn_data_plane_ip_address\":\"216.155.166.183\",\"ci\":null,\"apn\":null,\"tx_teid_control_plane\":1<"
    "serial>,"
    "\"rx_teid\":3520447535,\"rac\":null,\"imsi\":\"90140530<endpoint>\",\"sgsn_control_plane_ip_address\":"
    "\"216.155.165.183\","
    "\"nsapi\":6,\"breakout_ip\":null,\"ggsn_data_plane_ip_address\":\"185.57.216.183\",\"tx_teid_data_"
    "plane\":369448323},"
    "\"country\":{\"id\":68,\"name\":\"France\",\"country_code\":\"33\",\"mcc\":\"208\",\"iso_code\":\"fr\"}"
    "}";

// Event types with their share of a thousand events, as the samples have them (those without a SIM left out).
static const struct event_kind {
  int type;
  const char *description;
  int severity;
  const char *detail;
  unsigned share;
} event_kinds[] = {
    {1, "Update location", 0, detail_location, 190}, {2, "Update GPRS location", 0, detail_location, 210},
    {3, "Create PDP Context", 0, detail_pdp, 180},   {4, "Update PDP Context", 0, detail_pdp, 115},
    {5, "Delete PDP Context", 0, detail_pdp, 225},   {8, "SIM activation", 0, detail_none, 10},
    {9, "SIM suspension", 0, detail_none, 15},       {10, "SIM deletion", 0, detail_none, 15},
    {11, "Endpoint blocked", 1, detail_none, 20},    {12, "Organisation blocked", 1, detail_none, 20},
};

enum {
  USAGE_OF_TEN = 7,
  EVENT_SHARES = 1000,
  EVENT_TYPE_KEPT = 5,
  ENDPOINT_FIRST = 8000000,
  MARK_BYTES = 16,            // the widest mark, rounded up
  BODY_BYTES_A_RECORD = 2048, // more than the longest template
};

struct place {
  uint32_t at;
  enum mark mark;
};

struct load_body {
  struct load_mix mix;
  struct buf text;
  struct place *places; // in order of the text
  size_t place_count, place_cap;
  size_t *record_places; // by record: its first place; one more at the end
  uint32_t records, kept;
};

static const struct event_kind *event_kind_at(uint64_t random) {
  unsigned share = (unsigned)(random % EVENT_SHARES);
  const struct event_kind *kind = event_kinds;
  while (share >= kind->share)
    share -= kind++->share;
  return kind;
}

static void place_add(struct load_body *b, enum mark mark) {
  if (b->place_count == b->place_cap) {
    b->place_cap = b->place_cap ? 2 * b->place_cap : 256;
    b->places = mem_must(mem_grow(b->places, b->place_cap * sizeof *b->places));
  }
  b->places[b->place_count++] = (struct place){(uint32_t)b->text.len, mark};
}

static void append(struct load_body *b, const char *at, size_t len) {
  mem_must(buf_append(&b->text, at, len) ? b->text.at : NULL);
}

static enum mark mark_at(const char *text) {
  enum mark mark = 0;
  while (mark < MARKS && strncmp(text, marks[mark].text, strlen(marks[mark].text)) != 0)
    mark++;
  return mark;
}

// Lays a template out: its text, and a place where each mark stands.
static void template_add(struct load_body *b, const char *text) {
  while (*text) {
    size_t plain = strcspn(text, "<");
    append(b, text, plain);
    text += plain;
    if (!*text) break;
    enum mark mark = mark_at(text);
    place_add(b, mark);
    append(b, "0000000000", marks[mark].width);
    text += strlen(marks[mark].text);
  }
}

static void event_add(struct load_body *b, const struct event_kind *kind) {
  char text[BODY_BYTES_A_RECORD];
  snprintf(text, sizeof text, event_text, kind->description, kind->type, kind->severity,
           kind->severity ? "Warn" : "Info", kind->detail);
  template_add(b, text);
}

struct load_body *load_body_new(const struct load_mix *mix, uint32_t records) {
  struct load_body *b = mem_must(mem_zero(1, sizeof *b));
  b->mix = *mix;
  b->records = records;
  buf_init(&b->text, (size_t)records * BODY_BYTES_A_RECORD);
  b->record_places = mem_must(mem_zero(records + 1, sizeof *b->record_places));
  append(b, "[", 1);
  for (uint32_t i = 0; i < records; i++) {
    uint64_t random = hash_u64(mix->seed * 1000003 + i);
    const struct event_kind *kind = event_kind_at(random >> 32);
    bool usage = random % 10 < USAGE_OF_TEN;
    if (i > 0) append(b, ",\n", 2);
    b->record_places[i] = b->place_count;
    if (usage)
      template_add(b, usage_text);
    else
      event_add(b, kind);
    b->kept += usage || kind->severity > 0 || kind->type == EVENT_TYPE_KEPT;
  }
  b->record_places[records] = b->place_count;
  append(b, "]", 1);
  return b;
}

void load_body_free(struct load_body *b) {
  if (!b) return;
  buf_fini(&b->text);
  mem_free(b->places);
  mem_free(b->record_places);
  mem_free(b);
}

// Digits from the right; what is left over of a value is cut.
static void write_digits(char *out, uint32_t width, uint32_t value) {
  while (width-- > 0) {
    out[width] = (char)('0' + value % 10);
    value /= 10;
  }
}

static void write_fraction(char *out, uint32_t width, uint32_t value) {
  out[0] = '0';
  out[1] = '.';
  write_digits(out + 2, width - 2, value);
}

struct figures { // of one record, as text
  char text[MARKS][MARK_BYTES];
};

// No figure ends in 0, as none does that a program wrote; and endpoints stay with their organisation.
static void figures_write(struct figures *f, const struct load_mix *mix, uint64_t serial) {
  uint64_t random = hash_u64(mix->seed ^ serial * 0x9e3779b97f4a7c15u);
  uint32_t endpoint = (uint32_t)((random & 0xffffffff) * mix->endpoints >> 32);
  uint32_t rx = (uint32_t)(random >> 32 & 0xffff) * 10 + 1 + (uint32_t)(random >> 60 & 3);
  uint32_t tx = (uint32_t)(random >> 48 & 0xfff) * 10 + 1 + (uint32_t)(random >> 62 & 3);
  write_digits(f->text[MARK_SERIAL], 9, LOAD_SERIAL_FIRST + (uint32_t)serial);
  write_digits(f->text[MARK_ENDPOINT], 7, ENDPOINT_FIRST + endpoint);
  write_digits(f->text[MARK_ORGANISATION], 5, LOAD_ORGANISATION + endpoint % mix->organisations);
  write_digits(f->text[MARK_MILLI], 3, (uint32_t)serial);
  write_fraction(f->text[MARK_RX], 8, rx);
  write_fraction(f->text[MARK_TX], 8, tx);
  write_fraction(f->text[MARK_TOTAL], 8, rx + tx);
  write_fraction(f->text[MARK_COST], 10, (rx + tx) * 20 + 1 + (uint32_t)(serial % 9));
}

// Copies of constant length: this runs a dozen times a record.
static void place_write(char *out, enum mark mark, const struct figures *f) {
  const char *text = f->text[mark];
  switch (mark) {
  case MARK_MILLI:
    memcpy(out, text, 3);
    break;
  case MARK_ORGANISATION:
    memcpy(out, text, 5);
    break;
  case MARK_ENDPOINT:
    memcpy(out, text, 7);
    break;
  case MARK_RX:
  case MARK_TX:
  case MARK_TOTAL:
  case MARK_CLOCK:
    memcpy(out, text, 8);
    break;
  case MARK_SERIAL:
    memcpy(out, text, 9);
    break;
  case MARK_COST:
  case MARK_DAY:
    memcpy(out, text, 10);
    break;
  case MARKS:
    break;
  }
}

struct slice load_body_write(struct load_body *b, uint64_t serial) {
  char iso[CLOCK_ISO_BYTES];
  struct figures figures;
  clock_iso(clock_ms(), iso);
  memcpy(figures.text[MARK_DAY], iso, 10);
  memcpy(figures.text[MARK_CLOCK], iso + 11, 8);
  for (uint32_t i = 0; i < b->records; i++) {
    figures_write(&figures, &b->mix, serial + i);
    for (size_t p = b->record_places[i]; p < b->record_places[i + 1]; p++)
      place_write(b->text.at + b->places[p].at, b->places[p].mark, &figures);
  }
  return buf_slice(&b->text);
}

uint32_t load_body_records(const struct load_body *b) {
  return b->records;
}

uint32_t load_body_kept(const struct load_body *b) {
  return b->kept;
}
