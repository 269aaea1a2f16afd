/**
 * CIDRs in one spelling, which addresses they let in, and when one list lets in more than another.
 */
import { describe, expect, test } from "vitest";
import { isAllowedFrom, isWiderAllowlist, parseCidr } from "../../src/keys/allowlist";

describe("a CIDR", () => {
  test.each([
    ["192.0.2.77/24", "192.0.2.0/24"],
    ["192.0.2.77", "192.0.2.77/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8:0:0::1/32", "2001:db8::/32"],
    ["2001:db8::1", "2001:db8::1/128"],
    ["::/0", "::/0"],
    ["::ffff:203.0.113.9/120", "203.0.113.0/24"],
    ["::ffff:0:0/96", "0.0.0.0/0"],
    ["0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4/32"],
    ["0:0:0:0:0:ffff:1.2.3.4/120", "1.2.3.0/24"],
    ["::ffff:1.2.3.4/64", "::/64"],
    // IPv4-compatible, not IPv4-mapped: another address than 192.0.2.1.
    ["::192.0.2.1/128", "::c000:201/128"],
  ])("is written in one spelling: %s as %s", (text, cidr) => {
    expect(parseCidr(text)).toBe(cidr);
  });

  test.each([
    "",
    "192.0.2.0/33",
    "192.0.2.0/-1",
    "192.0.2.0/",
    "192.0.2.0/08",
    "192.0.2.0/00",
    "2001:db8::/032",
    "192.0.2/24",
    "0300.0.2.1/32",
    "0xc0.0.2.1",
    "3221225985",
    "2001:db8::/129",
    "fe80::1%eth0/64",
    "::ffff:0300.0.2.1/128",
    "example.com",
  ])("is not made of %s", (text) => {
    expect(parseCidr(text)).toBeNull();
  });
});

describe("an allowlist", () => {
  test.each([
    [[], "198.51.100.1", true],
    [["192.0.2.0/24"], "192.0.2.255", true],
    [["192.0.2.0/24"], "::ffff:192.0.2.255", true],
    [["192.0.2.0/24"], "0:0:0:0:0:ffff:192.0.2.255", true],
    [["192.0.2.0/24"], "192.0.3.0", false],
    [["192.0.2.0/24"], "2001:db8::1", false],
    [["2001:db8::/32", "192.0.2.0/24"], "2001:db8:ffff::1", true],
    [["2001:db8::/32"], "2001:db9::", false],
    [["::/0"], "192.0.2.1", false],
    [["0.0.0.0/0"], "unknown", false],
  ])("of %j lets the address %s in: %s", (cidrs, ip, allowed) => {
    expect(isAllowedFrom(cidrs, ip)).toBe(allowed);
  });

  test.each([
    [[], [], false],
    [["192.0.2.0/24"], [], false],
    [[], ["192.0.2.0/24"], true],
    [["192.0.2.0/25"], ["192.0.2.0/24"], false],
    [["192.0.0.0/16"], ["192.0.2.0/24"], true],
    [["192.0.2.0/24", "198.51.100.7/32"], ["192.0.2.0/24"], true],
    [["2001:db8:1::/48"], ["192.0.2.0/24", "2001:db8::/32"], false],
    [["::/0"], ["0.0.0.0/0"], true],
  ])("of %j lets in more addresses than %j: %s", (next, before, looser) => {
    expect(isWiderAllowlist(next, before)).toBe(looser);
  });
});
