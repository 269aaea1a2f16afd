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

describe("processes that share the ports of a node", () => {
  test.each([2, 3, 8])("share its bounds: %i of them", (processes) => {
    const all = Array.from({ length: processes }, () => new InvalidPongs(processes));
    const sum = (type: "ping" | "data", now: number) =>
      all.reduce((total, pongs) => total + answered(pongs, type, "192.0.2.1", now), 0);
    for (const now of [1, 1_001]) {
      const pings = sum("ping", now);
      expect(pings).toBeGreaterThan(0);
      expect(pings).toBeLessThanOrEqual(10);
      expect(sum("ping", now + 999)).toBe(0);
    }
    // Each answers data once in as many seconds as there are processes.
    expect(sum("data", 10_000)).toBe(processes);
    expect(sum("data", 10_000 + processes * 1_000 - 1)).toBe(0);
    expect(sum("data", 10_000 + processes * 1_000)).toBe(processes);
    for (const pongs of all) pongs.forgetOld(1_000_000);
    const addresses = Array.from({ length: 2_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`);
    const remembered = all.map(
      (pongs) => addresses.filter((one) => pongs.mayAnswer("ping", one, 1_000_000)).length,
    );
    expect(remembered.reduce((a, b) => a + b)).toBeLessThanOrEqual(1_000);
  });
});
