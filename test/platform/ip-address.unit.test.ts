/** How addresses are read, and which of them are counted as one client. Pure. */
import { describe, expect, test } from "vitest";
import { addressBucket, parseAddress } from "../../src/platform/ip-address";

describe("the reader of IP addresses", () => {
  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:102:304", "1.2.3.4"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::", "::"],
    // IPv4-compatible, not IPv4-mapped: another address than 1.2.3.4.
    ["::1.2.3.4", "::102:304"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
  ])("reads %s as %s", (text, expected) => {
    expect(parseAddress(text)?.toString()).toBe(expected);
  });

  test.each([
    "",
    "1",
    "0x01020304",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.256",
    "::ffff:01.2.3.4",
    "::ffff:1.2.3",
    "fe80::1%eth0",
    "1.2.3.4/32",
    "a.b.c.d",
    "1:2:3",
    " 1.2.3.4",
    "1.2.3.4\n",
    "::1\n",
    "::0x1.2.3.4",
    "::ffff:1.2.3.4.5",
    "1.2.3.4::",
    "00001::1",
    "[::1]",
  ])("refuses %j", (text) => {
    expect(parseAddress(text)).toBeNull();
  });
});

describe("a client is counted by limits as", () => {
  test.each([
    ["its IPv4 address", "198.51.100.7", "198.51.100.7"],
    ["the IPv4 address in a mapped one", "0:0:0:0:0:ffff:198.51.100.7", "198.51.100.7"],
    ["the /64 of its IPv6 address", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["the same /64 from another address of it", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"],
    ["what it says, if that is no address", "nonsense", "nonsense"],
  ])("%s", (_name, text, expected) => {
    expect(addressBucket(text)).toBe(expected);
  });
});
