/** When the row of a relay session that has ended may go, whenever it ended and whenever the sweep looks. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Session } from "../../src/session/session";
import { ENDED, endedOf, endedToRemove, mayHaveEndedAs } from "../../src/session/session-key";

const MINUTE_MS = 60_000;
const ended = (kind: string, endedAt: number, status = "expired") =>
  endedOf({ kind, status, endedAt } as Session);

const moment = fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 });

test("a row that ended goes ten to 21 minutes after; until an hour after, every run of the sweep looks for it", () => {
  fc.assert(
    fc.property(moment, fc.nat(MINUTE_MS - 1), (endedAt, firstRun) => {
      const slot = ended("relay", endedAt);
      const runs = Array.from({ length: 60 }, (_, n) => endedAt + firstRun + n * MINUTE_MS);
      const finding = runs.filter((at) => endedToRemove(at).includes(slot));
      const removedAt = finding[0] ?? Infinity;
      expect(removedAt - endedAt).toBeGreaterThan(10 * MINUTE_MS);
      expect(removedAt - endedAt).toBeLessThan(21 * MINUTE_MS);
      // Should its removal fail, the runs that follow find it again.
      expect(finding).toEqual(runs.filter((at) => at >= removedAt));
    }),
  );
});

test("a row is not taken for an old one by a clock that is up to ten minutes behind", () => {
  fc.assert(
    fc.property(moment, fc.nat(10 * MINUTE_MS), (endedAt, behindMs) => {
      expect(endedToRemove(endedAt - behindMs)).not.toContain(ended("relay", endedAt));
    }),
  );
});

test("a row that was left is found again within 80 minutes", () => {
  fc.assert(
    fc.property(moment, fc.integer({ min: 1, max: 100 }), (endedAt, hours) => {
      const slot = ended("relay", endedAt);
      const from = endedAt + hours * 60 * MINUTE_MS;
      const minutes = Array.from({ length: 80 }, (_, i) => from + i * MINUTE_MS);
      expect(minutes.some((at) => endedToRemove(at).includes(slot))).toBe(true);
    }),
  );
});

test("the key of a row that has ended is one that is looked for, and never that of a live one", () => {
  fc.assert(
    fc.property(moment, (endedAt) => {
      expect(ENDED.relay).toContain(ended("relay", endedAt));
    }),
  );
  expect([ended("source", 5), ended("source", 5, "failed")]).toEqual(ENDED.source);
  expect([ended("relay", 5, "active"), ended("source", 5, "pending")]).toEqual([0, 0]);
});

test("a write of a live state looks for the row of a session that ended since, by clocks ten minutes apart", () => {
  const apart = fc.integer({ min: -10 * MINUTE_MS, max: 10 * MINUTE_MS });
  fc.assert(
    fc.property(moment, apart, (sentAt, later) => {
      expect(mayHaveEndedAs("relay", sentAt)).toContain(ended("relay", sentAt + later));
    }),
  );
  expect(new Set(mayHaveEndedAs("source", 5))).toEqual(new Set(ENDED.source));
});
