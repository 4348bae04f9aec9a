#include "net/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = V6_BITS - V4_BITS };

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// What of IPv4 is not the public internet (IANA's special-purpose registry).
static const struct {
  uint32_t net;
  unsigned bits;
} not_public[] = {
    {0x00000000, 8},  // this network
    {0x0a000000, 8},  // private
    {0x64400000, 10}, // shared
    {0x7f000000, 8},  // loopback
    {0xa83f8110, 32}, // 168.63.129.16: the metadata and key service of Azure's machines
    {0xa9fe0000, 16}, // link-local, metadata
    {0xac100000, 12}, // private
    {0xc0000000, 24}, // protocol assignments
    {0xc0000200, 24}, // documentation
    {0xc0586300, 24}, // 6to4 relays
    {0xc0a80000, 16}, // private
    {0xc6120000, 15}, // benchmarking
    {0xc6336400, 24}, // documentation
    {0xcb007100, 24}, // documentation
    {0xe0000000, 4},  // multicast
    {0xf0000000, 4},  // reserved, broadcast
};

// Inside 2000::/3, the only space of public IPv6 addresses, these are none either.
static const struct egress_range not_public_v6[] = {
    {{0x20, 0x01, 0x00}, 23},       // protocol assignments (Teredo is judged before)
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, // documentation
    {{0x3f, 0xff, 0x00}, 20},       // documentation
};

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits) {
  if (memcmp(a, b, bits / 8)) return false;
  unsigned rest = bits % 8;
  return !rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static bool allowed(const struct egress *egress, const unsigned char address[16]) {
  for (size_t i = 0; i < egress->allow_count; i++)
    if (same_bits(address, egress->allow[i].address, egress->allow[i].bits)) return true;
  return false;
}

static bool permits_v4(const struct egress *egress, const unsigned char v4[4]) {
  unsigned char mapped[16];
  memcpy(mapped, mapped_prefix, sizeof mapped_prefix);
  memcpy(mapped + 12, v4, 4);
  if (allowed(egress, mapped)) return true;
  uint32_t address = (uint32_t)v4[0] << 24 | (uint32_t)v4[1] << 16 | (uint32_t)v4[2] << 8 | v4[3];
  for (size_t i = 0; i < sizeof not_public / sizeof *not_public; i++)
    if ((address ^ not_public[i].net) >> (V4_BITS - not_public[i].bits) == 0) return false;
  return true;
}

// Teredo (RFC 4380): the server's address, and the client's with all bits turned.
static bool permits_teredo(const struct egress *egress, const unsigned char a[16]) {
  const unsigned char client[4] = {(unsigned char)~a[12], (unsigned char)~a[13], (unsigned char)~a[14],
                                   (unsigned char)~a[15]};
  return permits_v4(egress, a + 4) && permits_v4(egress, client);
}

static bool permits_v6(const struct egress *egress, const unsigned char a[16]) {
  static const unsigned char zero[12] = {0}, translated[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
                             nat64[12] = {0x00, 0x64, 0xff, 0x9b}, six_to_four[2] = {0x20, 0x02},
                             teredo[4] = {0x20, 0x01}, global = 0x20;
  if (same_bits(a, mapped_prefix, 96)) return permits_v4(egress, a + 12);
  if (allowed(egress, a)) return true;
  // The forms that carry an IPv4 address reach what that one reaches.
  if (same_bits(a, zero, 96) || same_bits(a, translated, 96) || same_bits(a, nat64, 96))
    return permits_v4(egress, a + 12);
  if (same_bits(a, six_to_four, 16)) return permits_v4(egress, a + 2);
  if (same_bits(a, teredo, 32)) return permits_teredo(egress, a);
  if (!same_bits(a, &global, 3)) return false;
  for (size_t i = 0; i < sizeof not_public_v6 / sizeof *not_public_v6; i++)
    if (same_bits(a, not_public_v6[i].address, not_public_v6[i].bits)) return false;
  return true;
}

bool egress_permits(const struct egress *egress, const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    return permits_v4(egress, (const unsigned char *)&v4->sin_addr);
  }
  if (address->sa_family != AF_INET6) return false;
  return permits_v6(egress, ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
}

static bool parse_bits(const char *text, unsigned most, unsigned *bits) {
  size_t digits = strspn(text, "0123456789");
  if (digits < 1 || digits > 3 || text[digits]) return false;
  *bits = (unsigned)strtoul(text, NULL, 10);
  return *bits <= most;
}

static bool parse_range(const char *text, struct egress_range *range) {
  char address[INET6_ADDRSTRLEN];
  const char *slash = strchr(text, '/');
  size_t len = slash ? (size_t)(slash - text) : strlen(text);
  if (len >= sizeof address) return false;
  memcpy(address, text, len);
  address[len] = 0;
  if (inet_pton(AF_INET6, address, range->address) == 1) {
    range->bits = V6_BITS;
    return !slash || parse_bits(slash + 1, V6_BITS, &range->bits);
  }
  memcpy(range->address, mapped_prefix, sizeof mapped_prefix);
  if (inet_pton(AF_INET, address, range->address + 12) != 1) return false;
  range->bits = V4_BITS;
  if (slash && !parse_bits(slash + 1, V4_BITS, &range->bits)) return false;
  range->bits += MAPPED_BITS;
  return true;
}

bool egress_allow(struct egress *egress, const char *text, struct err *err) {
  struct egress_range range;
  if (!parse_range(text, &range))
    return err_set(err, "\"%s\" is no address or range such as 127.0.0.1, 10.0.0.0/8 or fd00::/8", text);
  if (egress->allow_count == EGRESS_RANGES) return err_set(err, "more than %d ranges", EGRESS_RANGES);
  egress->allow[egress->allow_count++] = range;
  return true;
}
