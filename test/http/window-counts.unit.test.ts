/** When a subject is at its limit, and which subjects a full count forgets. Pure. */
import { describe, expect, test } from "vitest";
import { KEPT_SUBJECTS, WindowCounts } from "../../src/http/window-counts";

const NOW = 1_790_000_000_000;
const MOST = 5;

/** Counts so many other subjects, each as often as it says. */
function flood(counts: WindowCounts, subjects: number, { times = 1, at = NOW } = {}) {
  for (let i = 0; i < subjects; i++) {
    for (let n = 0; n < times; n++) counts.count(`flood ${times} ${i}`, MOST, at);
  }
}

describe("a limit over 60 seconds", () => {
  test("lets the permitted number through, then nothing until the window is over", () => {
    const counts = new WindowCounts(60);
    for (let i = 0; i < 3; i++) {
      expect(counts.secondsLeft("a", 3, NOW)).toBe(0);
      counts.count("a", 3, NOW + i);
    }
    expect(counts.secondsLeft("a", 3, NOW + 1)).toBe(60);
    expect(counts.secondsLeft("a", 3, NOW + 59_999)).toBe(1);
    expect(counts.secondsLeft("a", 3, NOW + 60_000)).toBe(0);
    expect(counts.secondsLeft("b", 3, NOW)).toBe(0);
  });

  test("never forgets a subject that is at the limit, however many others come", () => {
    const counts = new WindowCounts(60);
    for (let i = 0; i < MOST; i++) counts.count("a", MOST, NOW);
    flood(counts, 10 * KEPT_SUBJECTS);
    flood(counts, 3 * KEPT_SUBJECTS, { times: MOST - 1 });
    expect(counts.secondsLeft("a", MOST, NOW)).toBe(60);
  });

  test("forgets no subject at the limit, even where those are more than it would keep", () => {
    const counts = new WindowCounts(60);
    flood(counts, 3 * KEPT_SUBJECTS, { times: MOST });
    for (let i = 0; i < 3 * KEPT_SUBJECTS; i++) {
      if (counts.secondsLeft(`flood ${MOST} ${i}`, MOST, NOW) !== 60) throw new Error(`lost ${i}`);
    }
  });

  test("remembers a bounded number of subjects below the limit", () => {
    const counts = new WindowCounts(60);
    flood(counts, 10 * KEPT_SUBJECTS);
    let remembered = 0;
    for (let i = 0; i < 10 * KEPT_SUBJECTS; i++) {
      if (counts.secondsLeft(`flood 1 ${i}`, 1, NOW) > 0) remembered += 1;
    }
    expect(remembered).toBeGreaterThanOrEqual(KEPT_SUBJECTS);
    expect(remembered).toBeLessThanOrEqual(2 * KEPT_SUBJECTS);
  });

  test("forgets first the subjects whose window is over, and then those with the lowest counts", () => {
    const counts = new WindowCounts(60);
    flood(counts, KEPT_SUBJECTS, { times: MOST, at: NOW - 60_000 });
    for (let i = 0; i < MOST - 1; i++) counts.count("nearly", MOST, NOW);
    flood(counts, 10 * KEPT_SUBJECTS);
    counts.count("nearly", MOST, NOW);
    expect(counts.secondsLeft("nearly", MOST, NOW)).toBe(60);
  });
});
