/** How often an address is told that its tokens are invalid. */
import { describe, expect, test } from "vitest";
import { InvalidPongs } from "../../relay-node/invalid-pongs";

/** How many of so many attempts at this time were answered. */
function answered(pongs: InvalidPongs, type: "ping" | "data", address: string, now: number) {
  return Array.from({ length: 30 }, () => pongs.mayAnswer(type, address, now)).filter(Boolean)
    .length;
}

describe("one address", () => {
  test("gets ten answers to pings in any second, not ten in each", () => {
    const pongs = new InvalidPongs();
    for (let i = 0; i < 5; i++) expect(pongs.mayAnswer("ping", "192.0.2.1", 900)).toBe(true);
    expect(answered(pongs, "ping", "192.0.2.1", 1_100)).toBe(5);
    expect(answered(pongs, "ping", "192.0.2.1", 1_899)).toBe(0);
    expect(answered(pongs, "ping", "192.0.2.1", 1_900)).toBe(5);
  });

  test("gets one answer to data in any second, beside those to pings", () => {
    const pongs = new InvalidPongs();
    expect(answered(pongs, "ping", "192.0.2.1", 1)).toBe(10);
    expect(answered(pongs, "data", "192.0.2.1", 1)).toBe(1);
    expect(answered(pongs, "data", "192.0.2.1", 1_000)).toBe(0);
    expect(answered(pongs, "data", "192.0.2.1", 1_001)).toBe(1);
  });

  test("is an IPv6 network of 64 bits, or the IPv4 address in an IPv6 one", () => {
    const pongs = new InvalidPongs();
    expect(answered(pongs, "ping", "2001:db8::1", 1)).toBe(10);
    expect(answered(pongs, "ping", "2001:db8::2", 1)).toBe(0);
    expect(answered(pongs, "ping", "2001:db8:0:1::2", 1)).toBe(10);
    expect(answered(pongs, "ping", "::ffff:192.0.2.1", 1)).toBe(10);
    expect(answered(pongs, "ping", "192.0.2.1", 1)).toBe(0);
  });

  test("does not use up what another one gets", () => {
    const pongs = new InvalidPongs();
    expect(answered(pongs, "ping", "192.0.2.1", 1)).toBe(10);
    expect(answered(pongs, "ping", "192.0.2.2", 1)).toBe(10);
  });
});

describe("many addresses", () => {
  test("are remembered up to a thousand; while these are answered, others are not", () => {
    const pongs = new InvalidPongs();
    const addresses = Array.from({ length: 5_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`);
    const first = addresses.filter((address) => pongs.mayAnswer("ping", address, 1));
    expect(first).toHaveLength(1_000);
    expect(pongs.size).toBe(1_000);
    expect(pongs.mayAnswer("ping", "192.0.2.1", 1_001)).toBe(true);
    expect(pongs.size).toBe(1);
  });
});
