// egress.h - which addresses a stream may reach: public ones, and what the operator allows beyond.
//
// Judged on the resolved address of each connection, so a name that resolves differently a second time gains
// nothing. Refused unless allowed: loopback, private (RFC 1918, RFC 4193), shared (RFC 6598), link-local and
// metadata, multicast, reserved and documentation ranges, "this network", and IPv6 forms that carry such an
// IPv4 address (mapped, compatible, NAT64, 6to4, Teredo).
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { EGRESS_RANGES = 64 };

struct egress_range {
  unsigned char address[16]; // IPv4 as ::ffff:a.b.c.d
  unsigned bits;             // 0 to 128
};

struct egress {
  struct egress_range allow[EGRESS_RANGES];
  size_t allow_count;
};

// Adds a range such as "127.0.0.0/8", "10.1.2.3" or "fd00::/8".
bool egress_allow(struct egress *egress, const char *range, struct err *err);
bool egress_permits(const struct egress *egress, const struct sockaddr *address);
