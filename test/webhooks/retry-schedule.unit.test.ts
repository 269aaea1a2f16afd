import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRetrySeconds } from "../../src/platform/config";
import {
  type AttemptFailure,
  longestScheduleMs,
  parseRetryAfter,
  planNextAttempt,
} from "../../src/webhooks/retry-schedule";

const DEFAULT_DELAYS = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];
const FAILED: AttemptFailure = { statusCode: 500, timedOut: false, retryAfterSeconds: null };
/** The middle of [0, 1): no jitter either way. */
const MIDDLE = 0.5;

const delayAfter = (
  planned: number,
  outcome: Partial<AttemptFailure> = {},
  random: number = MIDDLE,
) => {
  const plan = planNextAttempt({
    attempts: 1,
    delaysSeconds: [planned],
    outcome: { ...FAILED, ...outcome },
    random,
  });
  if (plan === "exhausted") throw new Error("a first attempt with one delay is never the last");
  return plan.delaySeconds;
};

describe("the setting of the delays", () => {
  test.each([
    ["5,300,1800,7200,18000,36000,36000", DEFAULT_DELAYS],
    ["5", [5]],
    [" 5 , 300 ", [5, 300]],
    ["0.05,0.1", [0.05, 0.1]],
    ["86400", [86_400]],
    [Array(20).fill("1").join(","), Array(20).fill(1)],
  ])("is read from %j", (csv, expected) => {
    expect(parseRetrySeconds(csv)).toEqual(expected);
  });

  test.each([
    "",
    " ",
    ",",
    "5,",
    ",5",
    "5,,300",
    "0",
    "0.0",
    "-1",
    "+1",
    "1e3",
    "0x10",
    "Infinity",
    "NaN",
    ".5",
    "5.",
    "5s",
    "5;300",
    "86401",
    "86400.1",
    Array(21).fill("1").join(","),
  ])("is refused as %j, with what is allowed", (csv) => {
    expect(() => parseRetrySeconds(csv)).toThrow("must be 1–20 numbers above 0 and at most 86400");
  });
});

describe("planning the next attempt", () => {
  test("gives 8 attempts in all with the 7 default delays", () => {
    const plan = (attempts: number) =>
      planNextAttempt({ attempts, delaysSeconds: DEFAULT_DELAYS, outcome: FAILED, random: MIDDLE });
    expect([1, 2, 3, 4, 5, 6, 7].map(plan)).toEqual(
      DEFAULT_DELAYS.map((delaySeconds) => ({ delaySeconds })),
    );
    expect([8, 9, 1000].map(plan)).toEqual(["exhausted", "exhausted", "exhausted"]);
  });

  test("gives none after the last attempt, also when the receiver asks for another", () => {
    const outcome = { statusCode: 429, timedOut: true, retryAfterSeconds: 1 };
    const plan = planNextAttempt({ attempts: 2, delaysSeconds: [5], outcome, random: MIDDLE });
    expect(plan).toBe("exhausted");
  });

  test.each([0, -1, 1.5, Number.NaN])("throws when %d attempts were made", (attempts) => {
    const plan = () =>
      planNextAttempt({ attempts, delaysSeconds: [5], outcome: FAILED, random: MIDDLE });
    expect(plan).toThrow(RangeError);
  });

  test.each<[string, number, Partial<AttemptFailure>, number]>([
    ["the plan, after a failure", 300, {}, 300],
    ["the plan, after no answer at all", 300, { statusCode: null }, 300],
    ["a fraction of a second, where planned", 0.05, {}, 0.05],
    ["the plan, when asked for less", 300, { retryAfterSeconds: 0 }, 330],
    ["at least as long as asked, up to twice the plan", 300, { retryAfterSeconds: 400 }, 440],
    ["twice the plan, when asked for that", 300, { retryAfterSeconds: 600 }, 600],
    ["twice the plan, when asked for more", 300, { retryAfterSeconds: 99_999 }, 600],
    ["at least a minute, after a 429", 5, { statusCode: 429 }, 66],
    ["at least a minute, after a time-out", 5, { statusCode: null, timedOut: true }, 66],
    ["the plan, after a 429, when it is longer", 300, { statusCode: 429 }, 300],
    ["a minute, though asked for less", 5, { statusCode: 429, retryAfterSeconds: 7 }, 66],
    ["as asked, after a 429", 300, { statusCode: 429, retryAfterSeconds: 500 }, 550],
    ["no minute, after a 503", 5, { statusCode: 503 }, 5],
    ["a day at most, when asked for more", 86_400, { retryAfterSeconds: 999_999 }, 86_400],
  ])("waits %s", (_, planned, outcome, expected) => {
    expect(delayAfter(planned, outcome)).toBeCloseTo(expected, 9);
  });

  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const planned = fc.double({ min: 0.001, max: 86_400, noNaN: true });
  const asked = fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e6, noNaN: true }));
  /** Room for the rounding of doubles. */
  const ROUNDING = 1 + 1e-12;

  test("stays within 20 % of the plan, and reaches both ends", () => {
    fc.assert(
      fc.property(planned, random, (seconds, r) => {
        const delay = delayAfter(seconds, {}, r);
        expect(delay * ROUNDING).toBeGreaterThanOrEqual(seconds * 0.8);
        expect(delay).toBeLessThanOrEqual(seconds * 1.2 * ROUNDING);
      }),
    );
    expect(delayAfter(1000, {}, 0)).toBeCloseTo(800, 9);
    expect(delayAfter(1000, {}, 1 - 2 ** -53)).toBeCloseTo(1200, 9);
  });

  test("follows Retry-After, however long, between once and twice the plan", () => {
    fc.assert(
      fc.property(planned, asked, random, (seconds, retryAfterSeconds, r) => {
        const delay = delayAfter(seconds, { retryAfterSeconds }, r);
        expect(delay).toBeGreaterThanOrEqual(seconds);
        expect(delay).toBeLessThanOrEqual(2 * seconds);
        const due = Math.min(retryAfterSeconds, 2 * seconds, 86_400);
        expect(delay).toBeGreaterThanOrEqual(due);
      }),
    );
  });

  test("waits a minute after a 429 or a time-out, and never more than a day", () => {
    const overloaded = fc.constantFrom<Partial<AttemptFailure>>(
      { statusCode: 429 },
      { statusCode: null, timedOut: true },
      { statusCode: 429, timedOut: true },
    );
    fc.assert(
      fc.property(planned, fc.option(asked), random, overloaded, (seconds, retry, r, outcome) => {
        const delay = delayAfter(seconds, { ...outcome, retryAfterSeconds: retry }, r);
        expect(delay).toBeGreaterThanOrEqual(60);
        expect(delay).toBeLessThanOrEqual(86_400);
      }),
    );
  });

  test("gives none exactly when there were more attempts than delays", () => {
    fc.assert(
      fc.property(fc.array(planned), fc.integer({ min: 1, max: 30 }), (delaysSeconds, attempts) => {
        const plan = planNextAttempt({ attempts, delaysSeconds, outcome: FAILED, random: MIDDLE });
        expect(plan === "exhausted").toBe(attempts > delaysSeconds.length);
      }),
    );
  });
});

describe("the header Retry-After", () => {
  const NOW = Date.parse("1994-11-06T08:49:37.500Z");

  test.each<[string | null, number]>([
    ["0", 0],
    ["120", 120],
    [" 120 ", 120],
    ["007", 7],
    ["9".repeat(400), Number.MAX_SAFE_INTEGER],
    ["Sun, 06 Nov 1994 08:50:37 GMT", 59.5],
    ["Mon, 07 Nov 1994 08:49:37 GMT", 86_399.5],
    ["Sunday, 06-Nov-94 08:50:37 GMT", 59.5],
    ["Wednesday, 06-Nov-44 08:49:37 GMT", (Date.UTC(2044, 10, 6, 8, 49, 37) - NOW) / 1000],
    ["Sun Nov  6 08:50:37 1994", 59.5],
    ["Wed Nov 16 08:49:37 1994", 863_999.5],
  ])("is read from %j", (header, expected) => {
    expect(parseRetryAfter(header, NOW)).toBe(expected);
  });

  test.each([
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Tuesday, 06-Nov-45 08:49:37 GMT",
  ])("is read from %j, which is past, as 0", (header) => {
    expect(parseRetryAfter(header, NOW)).toBe(0);
  });

  test.each([
    null,
    "",
    " ",
    "-5",
    "+5",
    "1.5",
    "1e3",
    "0x10",
    "5 s",
    "5, 10",
    "soon",
    "Infinity",
    "1994-11-06T08:50:37Z",
    "06 Nov 1994 08:50:37 GMT",
    "Sun, 06 Nov 1994 08:50:37",
    "Sun, 06 Nov 1994 08:50:37 CET",
    "Sun, 06 Nov 1994 25:00:00 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:00 GMT",
    "Wed, 31 Feb 2027 00:00:00 GMT",
    "Wed, 00 Feb 2027 00:00:00 GMT",
    "Sun, 06 Foo 1994 08:50:37 GMT",
    "Sun, 6 Nov 1994 08:50:37 GMT",
  ])("is not read from %j", (header) => {
    expect(parseRetryAfter(header, NOW)).toBeNull();
  });

  test("is read as null or as a number from 0, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const seconds = parseRetryAfter(header, NOW);
        expect(seconds === null || seconds >= 0).toBe(true);
      }),
    );
  });

  test("is read back from any date that a server formats", () => {
    const inADay = fc.integer({ min: 0, max: 86_400 });
    fc.assert(
      fc.property(inADay, (seconds) => {
        const now = Date.UTC(2026, 1, 28);
        const header = new Date(now + seconds * 1000).toUTCString();
        expect(parseRetryAfter(header, now)).toBe(seconds);
      }),
    );
  });
});

test("no schedule takes longer than its longest, whatever its receiver asks for", () => {
  const outcome = fc.record({
    statusCode: fc.constantFrom(null, 429, 500, 503),
    timedOut: fc.boolean(),
    retryAfterSeconds: fc.option(fc.integer({ min: 0, max: 10_000_000 })),
  });
  const delay = fc.integer({ min: 1, max: 86_400 });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(delay, { minLength: 1, maxLength: 20 }),
      outcome,
      random,
      (delays, o, r) => {
        const waits = delays.map((_, i) =>
          planNextAttempt({ attempts: i + 1, delaysSeconds: delays, outcome: o, random: r }),
        );
        const seconds = waits.reduce((sum, w) => sum + (w === "exhausted" ? 0 : w.delaySeconds), 0);
        expect(seconds * 1_000).toBeLessThanOrEqual(longestScheduleMs(delays) + 1);
      },
    ),
  );
});
