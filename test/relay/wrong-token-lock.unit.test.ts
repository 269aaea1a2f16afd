/**
 * Ten different wrong tokens in a minute lock their address for a minute, and no other; sixty use
 * up a session's limit.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WrongTokenBudget, WrongTokenLock } from "../../src/relay/wrong-token-lock";

const START = 1_790_000_000_000;
const GUESSER = "192.0.2.66";
const OTHER = "192.0.2.7";
const MAX_ADDRESSES = 1_000;

/** A lock after so many different wrong tokens from the guesser's address. */
function lockWith(tokens: number, everyMs = 0): WrongTokenLock {
  const lock = new WrongTokenLock();
  for (let i = 0; i < tokens; i++) lock.fail(GUESSER, `token ${i}`, START + i * everyMs);
  return lock;
}
/** Sends `tokens` different wrong tokens from each of `count` addresses. */
function flood(lock: WrongTokenLock, count: number, tokens: number, now = START): void {
  for (let token = 0; token < tokens; token++) {
    for (let i = 0; i < count; i++) lock.fail(`address ${i}`, `token ${token}`, now);
  }
}

describe("an address", () => {
  test("that never failed is not locked", () => {
    expect(new WrongTokenLock().secondsLeft(GUESSER, START)).toBe(0);
  });

  test("with nine wrong tokens is not locked", () => {
    expect(lockWith(9).secondsLeft(GUESSER, START)).toBe(0);
  });

  test("with ten wrong tokens is locked for a minute from the tenth, and another address is not", () => {
    const lock = lockWith(10, 5_000);
    const tenth = START + 45_000;
    expect(lock.secondsLeft(GUESSER, tenth)).toBe(60);
    expect(lock.secondsLeft(GUESSER, tenth + 59_999)).toBe(1);
    expect(lock.secondsLeft(GUESSER, tenth + 60_000)).toBe(0);
    expect(lock.secondsLeft(OTHER, tenth)).toBe(0);
  });

  test("that repeats one wrong token a thousand times is not locked, and has nine more tries", () => {
    const lock = new WrongTokenLock();
    for (let i = 0; i < 1_000; i++) lock.fail(GUESSER, "stale", START + i * 50);
    const now = START + 50_000;
    for (let i = 0; i < 8; i++) lock.fail(GUESSER, `token ${i}`, now);
    lock.fail(GUESSER, "stale", now);
    expect(lock.secondsLeft(GUESSER, now)).toBe(0);
    lock.fail(GUESSER, "a tenth one", now);
    expect(lock.secondsLeft(GUESSER, now)).toBe(60);
  });

  test("of a lock that has a part of the bound is locked by that part, but never by one token", () => {
    for (const [share, most] of [
      [1 / 3, 3],
      [1 / 8, 2],
    ] as const) {
      const lock = new WrongTokenLock(share);
      for (let i = 1; i < most; i++) lock.fail(GUESSER, `token ${i}`, START);
      expect(lock.secondsLeft(GUESSER, START)).toBe(0);
      lock.fail(GUESSER, "the last one", START);
      expect(lock.secondsLeft(GUESSER, START)).toBe(60);
    }
  });

  test("whose ten wrong tokens took more than a minute is not locked", () => {
    expect(lockWith(10, 7_000).secondsLeft(GUESSER, START + 63_000)).toBe(0);
  });

  test("with ten wrong tokens in any minute is locked, also where that minute is not the first one's", () => {
    const lock = new WrongTokenLock();
    lock.fail(GUESSER, "early", START);
    for (let i = 0; i < 8; i++) lock.fail(GUESSER, `token ${i}`, START + 59_000);
    lock.fail(GUESSER, "token 8", START + 61_000);
    expect(lock.secondsLeft(GUESSER, START + 61_000)).toBe(0);
    lock.fail(GUESSER, "token 9", START + 61_000);
    expect(lock.secondsLeft(GUESSER, START + 61_000)).toBe(60);
  });

  test("that was locked has nine tries again afterwards", () => {
    const lock = lockWith(10);
    const later = START + 60_000;
    for (let i = 0; i < 9; i++) lock.fail(GUESSER, `later ${i}`, later);
    expect(lock.secondsLeft(GUESSER, later)).toBe(0);
    lock.fail(GUESSER, "later 9", later);
    expect(lock.secondsLeft(GUESSER, later)).toBe(60);
  });

  const steps = fc.array(fc.record({ afterMs: fc.nat(20_000), token: fc.nat(14) }), {
    maxLength: 150,
  });

  test("is locked exactly while ten different wrong tokens were sent in the minute before, in any order of tries", () => {
    fc.assert(
      fc.property(steps, (sent) => {
        const lock = new WrongTokenLock();
        let counted: { token: number; at: number }[] = [];
        let lockedUntil = 0;
        let now = START;
        for (const { afterMs, token } of sent) {
          now += afterMs;
          expect(lock.secondsLeft(GUESSER, now)).toBe(
            Math.max(0, Math.ceil((lockedUntil - now) / 1_000)),
          );
          if (now < lockedUntil) continue;
          lock.fail(GUESSER, String(token), now);
          counted = counted.filter(({ at }) => at + 60_000 > now);
          if (!counted.some((each) => each.token === token)) counted.push({ token, at: now });
          if (counted.length >= 10) lockedUntil = now + 60_000;
        }
      }),
    );
  });
});

describe("a flood of addresses", () => {
  test("does not free an address that goes on failing", () => {
    const lock = new WrongTokenLock();
    for (let i = 0; i < 10; i++) {
      lock.fail(GUESSER, `token ${i}`, START);
      for (let other = 0; other < 500; other++) lock.fail(`2001:db8::${i}:${other}`, "x", START);
    }
    expect(lock.secondsLeft(GUESSER, START)).toBe(60);
  });

  test("never frees an address that is locked, however many come", () => {
    const lock = lockWith(10);
    flood(lock, 5 * MAX_ADDRESSES, 3);
    expect(lock.secondsLeft(GUESSER, START)).toBe(60);
  });

  test("makes the lock forget first the addresses whose wrong tokens are over a minute old", () => {
    const lock = new WrongTokenLock();
    for (let i = 0; i < 9; i++) lock.fail("old", `token ${i}`, START);
    const now = START + 60_000;
    for (let i = 0; i < 2; i++) lock.fail(GUESSER, `token ${i}`, now);
    flood(lock, MAX_ADDRESSES - 2, 3, now);
    lock.fail("one more", "token", now);
    // Two are still counted: with eight more the address is locked. If it had been forgotten, nine
    // more would not lock it.
    for (let i = 2; i < 10; i++) lock.fail(GUESSER, `token ${i}`, now);
    expect(lock.secondsLeft(GUESSER, now)).toBe(60);
  });

  test("makes the lock forget next the addresses that sent the fewest wrong tokens", () => {
    const lock = lockWith(9);
    flood(lock, MAX_ADDRESSES - 1, 1);
    for (let i = 0; i < 500; i++) lock.fail(`more ${i}`, "token", START);
    lock.fail(GUESSER, "a tenth one", START);
    expect(lock.secondsLeft(GUESSER, START)).toBe(60);
  });

  test("is not counted while a thousand addresses are locked, and all of those stay locked", () => {
    const lock = new WrongTokenLock();
    flood(lock, MAX_ADDRESSES, 10);
    for (let i = 0; i < 10; i++) lock.fail(GUESSER, `token ${i}`, START);
    expect(lock.secondsLeft(GUESSER, START)).toBe(0);
    for (let i = 0; i < MAX_ADDRESSES; i++) {
      expect(lock.secondsLeft(`address ${i}`, START)).toBe(60);
    }
    for (let i = 0; i < 10; i++) lock.fail(GUESSER, `token ${i}`, START + 60_000);
    expect(lock.secondsLeft(GUESSER, START + 60_000)).toBe(60);
  });
});

describe("a session's limit of wrong user tokens", () => {
  const spent = (tokens: number, everyMs = 0): WrongTokenBudget => {
    const budget = new WrongTokenBudget();
    for (let i = 0; i < tokens; i++) budget.fail(`token ${i}`, START + i * everyMs);
    return budget;
  };

  test("is reached by sixty different ones, and not by fifty-nine", () => {
    expect(spent(59).secondsLeft(START)).toBe(0);
    expect(spent(60).secondsLeft(START)).toBe(60);
  });

  test("is divided among those who count for one session", () => {
    const third = new WrongTokenBudget(1 / 3);
    for (let i = 0; i < 19; i++) third.fail(`token ${i}`, START);
    expect(third.secondsLeft(START)).toBe(0);
    third.fail("the twentieth", START);
    expect(third.secondsLeft(START)).toBe(60);
  });

  test("is not reached by one that is repeated", () => {
    const budget = spent(59);
    for (let i = 0; i < 500; i++) budget.fail("token 7", START);
    expect(budget.secondsLeft(START)).toBe(0);
  });

  test("has room again when the oldest of the sixty is a minute old", () => {
    const budget = spent(60, 500);
    const last = START + 59 * 500;
    expect(budget.secondsLeft(last)).toBe(31);
    expect(budget.secondsLeft(START + 59_999)).toBe(1);
    expect(budget.secondsLeft(START + 60_000)).toBe(0);
    budget.fail("one more", START + 60_000);
    expect(budget.secondsLeft(START + 60_000)).toBe(1);
  });
});
