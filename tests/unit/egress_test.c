// egress_test.c - which addresses are public, in every way to write them, and what an operator may add.
#include "net/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool permits(const struct egress *egress, const char *text) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) return egress_permits(egress, (struct sockaddr *)&v4);
  if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1) fail_msg("%s is no address", text);
  return egress_permits(egress, (struct sockaddr *)&v6);
}

static void only_public_addresses_are_permitted(void **state) {
  // Proves: each special range is refused up to its edges, its neighbours are not, and no IPv6 form hides an
  // IPv4 address.
  (void)state;
  static const struct {
    const char *address;
    bool permitted;
  } cases[] = {
      {"8.8.8.8", true},
      {"1.0.0.0", true},
      {"9.255.255.255", true},
      {"11.0.0.0", true},
      {"100.63.255.255", true},
      {"100.128.0.0", true},
      {"126.255.255.255", true},
      {"128.0.0.0", true},
      {"169.253.255.255", true},
      {"169.255.0.0", true},
      {"172.15.255.255", true},
      {"172.32.0.0", true},
      {"192.0.1.0", true},
      {"192.167.255.255", true},
      {"192.169.0.0", true},
      {"198.17.255.255", true},
      {"198.20.0.0", true},
      {"223.255.255.255", true},
      {"0.0.0.0", false},
      {"0.255.255.255", false},
      {"10.0.0.0", false},
      {"10.255.255.255", false},
      {"100.64.0.0", false},
      {"100.100.100.200", false},
      {"100.127.255.255", false},
      {"127.0.0.1", false},
      {"127.255.255.255", false},
      {"168.63.129.16", false},
      {"169.254.0.0", false},
      {"169.254.169.254", false},
      {"172.16.0.0", false},
      {"172.31.255.255", false},
      {"192.0.0.192", false},
      {"192.0.2.1", false},
      {"192.88.99.1", false},
      {"192.168.0.0", false},
      {"192.168.255.255", false},
      {"198.18.0.0", false},
      {"198.19.255.255", false},
      {"198.51.100.1", false},
      {"203.0.113.1", false},
      {"224.0.0.0", false},
      {"239.255.255.255", false},
      {"240.0.0.0", false},
      {"255.255.255.255", false},
      {"2606:4700::1111", true},
      {"2a00:1450:4001::200e", true},
      {"2001:200::1", true},
      {"3ffe::1", true},
      {"::", false},
      {"::1", false},
      {"::ffff:8.8.8.8", true},
      {"::ffff:127.0.0.1", false},
      {"::ffff:7f00:1", false},
      {"::ffff:169.254.169.254", false},
      {"::127.0.0.1", false},
      {"::10.0.0.1", false},
      {"::ffff:0:10.0.0.1", false},
      {"64:ff9b::8.8.8.8", true},
      {"64:ff9b::127.0.0.1", false},
      {"64:ff9b::a9fe:a9fe", false},
      {"64:ff9b:1::8.8.8.8", false},
      {"2002:808:808::1", true},
      {"2002:7f00:1::", false},
      {"2002:a9fe:a9fe::1", false},
      {"2001:0:4136:e378:8000:63bf:f7f7:f7f7", true},  // Teredo: server 65.54.227.120, client 8.8.8.8
      {"2001:0:4136:e378:8000:63bf:80ff:fffe", false}, // client 127.0.0.1
      {"2001:0:7f00:1:8000:63bf:f7f7:f7f7", false},    // server 127.0.0.1
      {"2001:2::1", false},
      {"2001:10::1", false},
      {"2001:1ff::1", false},
      {"2001:db8::1", false},
      {"3fff::1", false},
      {"100::1", false},
      {"5f00::1", false},
      {"fc00::1", false},
      {"fd00:ec2::254", false},
      {"fdff:ffff::1", false},
      {"fe80::1", false},
      {"febf::1", false},
      {"fec0::1", false},
      {"ff02::1", false},
      {"4000::1", false},
      {"1fff::1", false},
  };
  const struct egress none = {0};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (permits(&none, cases[i].address) != cases[i].permitted)
      fail_msg("%s is %s", cases[i].address, cases[i].permitted ? "refused" : "permitted");
}

static void what_is_no_internet_address_is_refused(void **state) {
  // Proves: a local socket's address is refused even when everything is allowed.
  (void)state;
  struct egress all = {0};
  struct err err = {0};
  struct sockaddr local = {.sa_family = AF_UNIX};
  assert_true(egress_allow(&all, "::/0", &err));
  assert_true(permits(&all, "127.0.0.1") && permits(&all, "::1"));
  assert_false(egress_permits(&all, &local));
}

static void allowed_ranges_add_to_the_public_ones(void **state) {
  // Proves: a range allows its addresses, in every form that carries them, and none beyond its edges.
  (void)state;
  static const struct {
    const char *range, *inside, *also, *outside;
  } cases[] = {
      {"127.0.0.0/8", "127.255.0.1", "::ffff:127.0.0.1", "::1"},
      {"127.0.0.1", "127.0.0.1", "64:ff9b::127.0.0.1", "127.0.0.2"},
      {"10.1.2.3/15", "10.0.0.0", "2002:a01:ffff::", "10.2.0.0"},
      {"10.1.2.128/25", "10.1.2.255", "::10.1.2.128", "10.1.2.127"},
      {"0.0.0.0/0", "10.0.0.1", "::ffff:169.254.169.254", "fd00::1"},
      {"::1", "::1", "::1", "::2"},
      {"fd00::/8", "fd00::1", "fdff::1", "fc00::1"},
      {"fd00:1::/33", "fd00:1:7fff::", "fd00:1::", "fd00:1:8000::"},
      {"::ffff:10.0.0.0/104", "10.1.1.1", "::ffff:10.1.1.1", "127.0.0.1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct egress egress = {0};
    struct err err = {0};
    assert_true(egress_allow(&egress, cases[i].range, &err));
    if (!permits(&egress, cases[i].inside)) fail_msg("%s does not allow %s", cases[i].range, cases[i].inside);
    if (!permits(&egress, cases[i].also)) fail_msg("%s does not allow %s", cases[i].range, cases[i].also);
    if (permits(&egress, cases[i].outside)) fail_msg("%s allows %s", cases[i].range, cases[i].outside);
    assert_true(permits(&egress, "8.8.8.8"));
  }
}

static void malformed_ranges_are_refused_in_words(void **state) {
  // Proves: what is no range is named in the error, and one too many is refused.
  (void)state;
  static const char *const bad[] = {"",
                                    "/8",
                                    "localhost",
                                    "10.0.0/8",
                                    "10.0.0.0/",
                                    "10.0.0.0/33",
                                    "10.0.0.0/-1",
                                    "10.0.0.0/8x",
                                    "10.0.0.0 /8",
                                    "10.0.0.0/0008",
                                    "010.0.0.1",
                                    "::/129",
                                    "fe80::1%lo",
                                    "[::1]",
                                    "1.2.3.4.5",
                                    "0x7f.1",
                                    "2130706433",
                                    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"};
  struct egress egress = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct err err = {0};
    if (egress_allow(&egress, bad[i], &err)) fail_msg("\"%s\" is taken", bad[i]);
    assert_non_null(strstr(err.text, bad[i]));
  }
  assert_int_equal(egress.allow_count, 0);
  struct err err = {0};
  for (int i = 0; i < EGRESS_RANGES; i++)
    assert_true(egress_allow(&egress, "10.0.0.0/8", &err));
  assert_false(egress_allow(&egress, "10.0.0.0/8", &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_public_addresses_are_permitted),
      cmocka_unit_test(what_is_no_internet_address_is_refused),
      cmocka_unit_test(allowed_ranges_add_to_the_public_ones),
      cmocka_unit_test(malformed_ranges_are_refused_in_words),
  };
  return cmocka_run_group_tests_name("egress", tests, NULL, NULL);
}
