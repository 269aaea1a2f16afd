/** Filters in the address, and times that a person puts in. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { filterOf, filterPart } from "../../console/src/filter-address";
import { fromLocalInput, toLocalInput } from "../../console/src/local-time";

test("every filter is read from the address as it was written, and one that is not set is null", () => {
  const value = fc.option(fc.string({ minLength: 1, unit: "binary" }));
  fc.assert(
    fc.property(value, value, (type, since) => {
      const part = filterPart({ type, since });
      expect(filterOf(part, "type")).toBe(type);
      expect(filterOf(part, "since")).toBe(since);
    }),
  );
  expect(filterPart({ type: null })).toBe("");
  expect(filterOf(undefined, "type")).toBeNull();
});

test("a time is the same minute after it was shown in a field", () => {
  const minute = 60_000;
  fc.assert(
    fc.property(
      fc.integer({ min: Date.UTC(2000, 0) / minute, max: Date.UTC(2100, 0) / minute }),
      (minutes) => {
        const at = minutes * minute;
        const read = fromLocalInput(toLocalInput(at));
        // Where the clock is set back, one local time stands for two.
        expect([0, 30 * minute, 60 * minute]).toContain(Math.abs(Date.parse(read ?? "") - at));
      },
    ),
  );
  expect(fromLocalInput("")).toBeNull();
  // An address may say anything.
  expect(toLocalInput(Date.parse("nonsense"))).toBe("");
});
