/** When a relay node dials again. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DIAL_MS, waitBeforeDial } from "../../relay-node/dial-schedule";

describe("a node whose link is down", () => {
  test("begins to dial again within five seconds, also if a dial hangs, however often it has failed", () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          expect(DIAL_MS + waitBeforeDial(failures, random)).toBeLessThanOrEqual(5_000);
        },
      ),
    );
  });

  test("waits longer after each failure, and not always equally long", () => {
    const waits = [0, 1, 2, 3, 4, 5, 100].map((failures) => waitBeforeDial(failures, 0));
    expect(waits).toEqual([100, 200, 400, 800, 1_500, 1_500, 1_500]);
    expect(waitBeforeDial(0, 1)).toBe(50);
    expect(waitBeforeDial(100, 0.5)).toBe(1_125);
  });
});
