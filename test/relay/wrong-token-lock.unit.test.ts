/** Ten wrong tokens in a minute lock their address out for a minute, and nobody else. */
import { describe, expect, test } from "vitest";
import { FailureLock } from "../../src/relay/wrong-token-lock";

const START = 1_790_000_000_000;
const GUESSER = "192.0.2.66";
const OTHER = "192.0.2.7";

function lockWith(failures: number, everyMs = 0): FailureLock {
  const lock = new FailureLock();
  for (let i = 0; i < failures; i++) lock.fail(GUESSER, START + i * everyMs);
  return lock;
}

describe("an address", () => {
  test("that never failed is not locked", () => {
    expect(new FailureLock().secondsLeft(GUESSER, START)).toBe(0);
  });

  test("with nine failures is not locked", () => {
    expect(lockWith(9).secondsLeft(GUESSER, START)).toBe(0);
  });

  test("with ten failures is locked for a minute from the tenth, and another one is not", () => {
    const lock = lockWith(10, 5_000);
    const tenth = START + 45_000;
    expect(lock.secondsLeft(GUESSER, tenth)).toBe(60);
    expect(lock.secondsLeft(GUESSER, tenth + 59_999)).toBe(1);
    expect(lock.secondsLeft(GUESSER, tenth + 60_000)).toBe(0);
    expect(lock.secondsLeft(OTHER, tenth)).toBe(0);
  });

  test("whose ten failures took more than a minute is not locked", () => {
    expect(lockWith(10, 7_000).secondsLeft(GUESSER, START + 63_000)).toBe(0);
  });

  test("that was locked has nine failures free again afterwards", () => {
    const lock = lockWith(10);
    const later = START + 60_000;
    for (let i = 0; i < 9; i++) lock.fail(GUESSER, later);
    expect(lock.secondsLeft(GUESSER, later)).toBe(0);
    lock.fail(GUESSER, later);
    expect(lock.secondsLeft(GUESSER, later)).toBe(60);
  });
});

describe("a flood of addresses", () => {
  test("does not free an address that goes on failing", () => {
    const lock = new FailureLock();
    for (let i = 0; i < 10; i++) {
      lock.fail(GUESSER, START);
      for (let other = 0; other < 500; other++) lock.fail(`2001:db8::${i}:${other}`, START);
    }
    expect(lock.secondsLeft(GUESSER, START)).toBe(60);
  });

  test("is forgotten beyond a thousand, the oldest first", () => {
    const lock = lockWith(10);
    for (let i = 0; i < 999; i++) lock.fail(`10.0.${i >> 8}.${i & 255}`, START);
    expect(lock.secondsLeft(GUESSER, START)).toBe(60);
    lock.fail("10.9.9.9", START);
    expect(lock.secondsLeft(GUESSER, START)).toBe(0);
  });
});
