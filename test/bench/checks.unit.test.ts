/** What the quick bench refuses: `.ci/run` calls it. */
import { describe, expect, test } from "vitest";
import { COUNTED, checkCounts, checkGrowth, checkLoad, LOSSES } from "../../bench/checks.mjs";
import { dollarsOf, dollarsOfLives, FRAMES, PRICES, REMOVED_TOGETHER } from "../../bench/costs.mjs";

const zero = Object.fromEntries(COUNTED.map((what) => [what, 0]));

describe("a count", () => {
  const accepted = { create: { ...zero, d1Written: 3 } };

  test("that is as it was accepted is good", () => {
    expect(checkCounts(accepted, accepted)).toEqual([{ name: "counts: create", problem: null }]);
  });

  test.each(COUNTED)("of %s that is another one is refused, with both", (what) => {
    const [check] = checkCounts({ create: { ...accepted.create, [what]: 7 } }, accepted);
    expect(check?.problem).toBe(`${what} ${what === "d1Written" ? 3 : 0}, now 7`);
  });

  test("of a call that is new, or gone, is refused", () => {
    const problems = checkCounts({ list: zero }, accepted).map(({ problem }) => problem);
    expect(problems[0]).toContain("now not counted");
    expect(problems[1]).toContain("unknown");
  });
});

describe("a call that is measured with few rows and with many", () => {
  test.each([
    ["reads as much is good", [31, 31], undefined, null],
    ["reads a few rows more is good", [31, 41], undefined, null],
    ["reads more is refused", [31, 42], undefined, "reads 31, then 42 rows: more with more rows"],
    ["reads more, up to its bound, is good", [300, 1_505], 1_500, null],
    [
      "reads more than its bound is refused",
      [300, 1_511],
      1_500,
      "reads 300, then 1511 rows: more with more rows",
    ],
  ])("and %s", (_, read, floor, problem) => {
    expect(checkGrowth([{ name: "list", read, floor }])).toEqual([
      { name: "growth: list", problem },
    ]);
  });
});

test.each(Object.keys(LOSSES))("a load in which there are %s is refused", (what) => {
  const none = Object.fromEntries(Object.keys(LOSSES).map((one) => [one, 0]));
  const refused = checkLoad({ ...none, [what]: 1 }).filter(({ problem }) => problem !== null);
  expect(refused).toHaveLength(1);
  expect(checkLoad(none).every(({ problem }) => problem === null)).toBe(true);
});

describe("dollars", () => {
  test("are the list prices of what was counted", () => {
    const one = { ...zero, requests: 1, d1Written: 2, objectWritten: 1, queueOperations: 3 };
    expect(dollarsOf(one).total).toBeCloseTo(0.3 + 3 * 1 + 3 * 0.4, 6);
    expect(PRICES.read).toMatch(/^\d{4}-\d\d-\d\d$/);
  });

  test("of a million lives have all their frames, and a share of a removal", () => {
    const life = { ...zero, requests: 4, d1Written: 5, socketMessages: 2 * FRAMES };
    const lives = dollarsOfLives({
      "a life: all of it": life,
      [`the removal of ${REMOVED_TOGETHER} lives`]: { ...zero, d1Written: REMOVED_TOGETHER },
    });
    // 24,000 messages are 1,200 calls of an object.
    expect(lives.frames).toBeCloseTo(1_200 * 0.15, 6);
    expect(lives.rest.total).toBeCloseTo(4 * 0.3 + 6, 6);
    expect(lives.rows).toBe(5 + 1);
    expect(lives.awake).toBeCloseTo(600 * 0.128 * 12.5, 6);
  });
});
