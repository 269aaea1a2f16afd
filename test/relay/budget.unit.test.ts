/**
 * A participant never sends more than the burst and what was filled since then. A rate of 0 means
 * no limit.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type BudgetLimits,
  charge,
  newBudget,
  spend,
  spendConnection,
} from "../../src/relay/budget";

const START = 1_790_000_000_000;
const LIMITS: BudgetLimits = {
  bytesPerSecond: 100,
  burstBytes: 1_000,
  messagesPerSecond: 5,
  burstMessages: 10,
};
const unlimited = { bytesPerSecond: 0, messagesPerSecond: 0 };

/** How many of `count` messages of `size` bytes pass at this moment. */
function passed(
  budget: ReturnType<typeof newBudget>,
  limits: BudgetLimits,
  count: number,
  size: number,
  now: number,
): number {
  let through = 0;
  for (let i = 0; i < count; i++) if (spend(budget, limits, size, now)) through += 1;
  return through;
}

describe("a budget at one moment", () => {
  test("passes the burst of messages, and not one more", () => {
    const budget = newBudget(LIMITS, START);
    expect(passed(budget, LIMITS, 100, 1, START)).toBe(10);
  });

  test("passes the burst of bytes, and not one more", () => {
    const budget = newBudget(LIMITS, START);
    expect(spend(budget, LIMITS, 1_001, START)).toBe(false);
    expect(spend(budget, LIMITS, 1_000, START)).toBe(true);
    expect(spend(budget, LIMITS, 1, START)).toBe(false);
  });

  test("loses nothing for a message that was refused", () => {
    const budget = newBudget(LIMITS, START);
    expect(passed(budget, LIMITS, 50, 5_000, START)).toBe(0);
    expect(spend(budget, LIMITS, 1_000, START)).toBe(true);
  });
});

describe("a budget over time", () => {
  test("gets a second's messages and bytes back in a second", () => {
    const budget = newBudget(LIMITS, START);
    passed(budget, LIMITS, 10, 100, START);
    expect(passed(budget, LIMITS, 100, 1, START + 1_000)).toBe(5);
    const other = newBudget(LIMITS, START);
    spend(other, LIMITS, 1_000, START);
    expect(spend(other, LIMITS, 101, START + 1_000)).toBe(false);
    expect(spend(other, LIMITS, 100, START + 1_000)).toBe(true);
  });

  test("gets no more than the burst back in a long silence", () => {
    const budget = newBudget(LIMITS, START);
    passed(budget, LIMITS, 10, 1, START);
    expect(passed(budget, LIMITS, 100, 1, START + 3_600_000)).toBe(10);
  });

  test("gets the same back in many small steps as in one large step", () => {
    const budget = newBudget(LIMITS, START);
    passed(budget, LIMITS, 10, 1, START);
    let through = 0;
    for (let now = START; now <= START + 10_000; now += 10) {
      if (spend(budget, LIMITS, 1, now)) through += 1;
    }
    expect(through).toBeGreaterThanOrEqual(49);
    expect(through).toBeLessThanOrEqual(50);
  });

  test("gets nothing back from a clock that goes backwards", () => {
    const budget = newBudget(LIMITS, START);
    passed(budget, LIMITS, 10, 1, START);
    expect(spend(budget, LIMITS, 1, START - 60_000)).toBe(false);
  });
});

describe("a connection", () => {
  const cost = 4;

  test("takes its cost from the budget, and is refused without taking anything when that is not there", () => {
    const budget = newBudget(LIMITS, START);
    expect(spendConnection(budget, LIMITS, cost, START)).toBe(0);
    expect(spendConnection(budget, LIMITS, cost, START)).toBe(0);
    expect(spendConnection(budget, LIMITS, cost, START)).toBe(1);
    expect(passed(budget, LIMITS, 100, 1, START)).toBe(2);
  });

  test("is told to wait for as long as its cost takes to fill", () => {
    const budget = newBudget(LIMITS, START);
    passed(budget, LIMITS, 10, 1, START);
    expect(spendConnection(budget, LIMITS, 10, START)).toBe(2);
    expect(spendConnection(budget, LIMITS, 10, START + 1_999)).toBe(1);
    expect(spendConnection(budget, LIMITS, 10, START + 2_000)).toBe(0);
  });

  test("costs the burst at most, so that everyone can connect at some time", () => {
    const budget = newBudget(LIMITS, START);
    expect(spendConnection(budget, LIMITS, 1_000, START)).toBe(0);
    expect(spendConnection(budget, LIMITS, 1_000, START)).toBe(2);
    expect(spendConnection(budget, LIMITS, 1_000, START + 2_000)).toBe(0);
  });

  test("waits for bytes that were received beyond the budget", () => {
    const budget = newBudget(LIMITS, START);
    charge(budget, LIMITS, 1_250, START);
    expect(spendConnection(budget, LIMITS, cost, START)).toBe(3);
    expect(spendConnection(budget, LIMITS, cost, START + 2_500)).toBe(0);
  });

  test("costs nothing where messages are not limited, and waits for no bytes where bytes are not limited", () => {
    const limits = { ...LIMITS, ...unlimited };
    const budget = newBudget(limits, START);
    for (let i = 0; i < 50; i++) charge(budget, limits, 5_000, START);
    expect(spendConnection(budget, limits, cost, START)).toBe(0);
  });
});

describe("a message that is received beyond the budget", () => {
  test("has to be filled again before anything passes", () => {
    const budget = newBudget(LIMITS, START);
    for (let i = 0; i < 15; i++) charge(budget, LIMITS, 1, START);
    expect(spend(budget, LIMITS, 1, START + 1_000)).toBe(false);
    expect(spend(budget, LIMITS, 1, START + 1_200)).toBe(true);
  });
});

describe("a budget with a rate of 0", () => {
  test("bytes limits no bytes, and still limits messages", () => {
    const limits = { ...LIMITS, bytesPerSecond: 0 };
    const budget = newBudget(limits, START);
    expect(passed(budget, limits, 100, 1_000_000, START)).toBe(10);
  });

  test("messages limits no messages, and still limits bytes", () => {
    const limits = { ...LIMITS, messagesPerSecond: 0 };
    const budget = newBudget(limits, START);
    expect(passed(budget, limits, 5_000, 1, START)).toBe(1_000);
  });

  test("for both passes everything", () => {
    const limits = { ...LIMITS, ...unlimited };
    const budget = newBudget(limits, START);
    expect(passed(budget, limits, 1_000, 1_000_000, START)).toBe(1_000);
  });
});

describe("a budget, whatever is sent,", () => {
  const limits = fc.record({
    bytesPerSecond: fc.integer({ min: 1, max: 100_000 }),
    burstBytes: fc.integer({ min: 0, max: 200_000 }),
    messagesPerSecond: fc.integer({ min: 1, max: 1_000 }),
    burstMessages: fc.integer({ min: 0, max: 200 }),
  });
  const messages = fc.array(fc.record({ afterMs: fc.nat(3_000), size: fc.nat(70_000) }), {
    maxLength: 200,
  });

  test("never passes more than the burst and the rate times the time since", () => {
    fc.assert(
      fc.property(limits, messages, (bounds, sent) => {
        const budget = newBudget(bounds, START);
        let now = START;
        let bytes = 0;
        let count = 0;
        for (const { afterMs, size } of sent) {
          now += afterMs;
          if (!spend(budget, bounds, size, now)) continue;
          bytes += size;
          count += 1;
          const seconds = (now - START) / 1_000;
          // A millionth, for the rounding of fractions.
          const most = (burst: number, rate: number) => burst + rate * seconds + 1e-6;
          expect(bytes).toBeLessThanOrEqual(most(bounds.burstBytes, bounds.bytesPerSecond));
          expect(count).toBeLessThanOrEqual(most(bounds.burstMessages, bounds.messagesPerSecond));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("never covers more, with messages, connections and bytes received beyond it counted together", () => {
    const steps = fc.array(
      fc.record({
        afterMs: fc.nat(2_000),
        what: fc.constantFrom("message", "connection", "beyond"),
        cost: fc.nat(60),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(limits, steps, (bounds, taken) => {
        const budget = newBudget(bounds, START);
        let now = START;
        let covered = 0;
        for (const { afterMs, what, cost } of taken) {
          now += afterMs;
          if (what === "beyond") charge(budget, bounds, 0, now);
          else if (what === "message") covered += spend(budget, bounds, 0, now) ? 1 : 0;
          else if (spendConnection(budget, bounds, cost, now) === 0) {
            covered += Math.min(cost, bounds.burstMessages);
          }
          const most = bounds.burstMessages + (bounds.messagesPerSecond * (now - START)) / 1_000;
          expect(covered).toBeLessThanOrEqual(most + 1e-3);
        }
      }),
    );
  });

  test("lets a connection in that waited as it was told", () => {
    fc.assert(
      fc.property(
        limits,
        fc.nat(500),
        fc.nat(500),
        fc.nat(300_000),
        (bounds, cost, sent, bytes) => {
          const budget = newBudget(bounds, START);
          for (let i = 0; i < sent; i++) charge(budget, bounds, i === 0 ? bytes : 0, START);
          const seconds = spendConnection(budget, bounds, cost, START);
          if (seconds === 0) return;
          expect(spendConnection(budget, bounds, cost, START + seconds * 1_000)).toBe(0);
        },
      ),
    );
  });

  test("never refuses a participant who stays within the rate", () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 300 }), (bounds, count) => {
        fc.pre(bounds.burstMessages >= 1);
        const budget = newBudget(bounds, START);
        const pauseMs = Math.ceil(1_000 / bounds.messagesPerSecond);
        const filled = Math.floor((bounds.bytesPerSecond * pauseMs) / 1_000);
        const size = Math.min(bounds.burstBytes, filled);
        // A millisecond more, for the rounding of fractions.
        const everyMs = pauseMs + 1;
        for (let i = 1; i <= count; i++) {
          expect(spend(budget, bounds, size, START + i * everyMs)).toBe(true);
        }
      }),
    );
  });
});
