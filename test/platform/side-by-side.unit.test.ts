/** Work on many items: never more at the same time than allowed, and every item has its outcome. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { sideBySide } from "../../src/platform/side-by-side";

test("every item is worked on once, no more of them at the same time than allowed", async () => {
  const given = fc.record({
    items: fc.array(fc.record({ turns: fc.nat(5), fails: fc.boolean() }), { maxLength: 30 }),
    atOnce: fc.integer({ min: 1, max: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(given, async ({ items, atOnce }) => {
      let [working, most] = [0, 0];
      const outcomes = await sideBySide(items, atOnce, async (item) => {
        working++;
        most = Math.max(most, working);
        for (let i = 0; i <= item.turns; i++) await Promise.resolve();
        working--;
        if (item.fails) throw item;
        return item;
      });
      expect(most).toBe(Math.min(items.length, atOnce));
      expect(outcomes).toEqual(
        items.map((item) =>
          item.fails ? { status: "rejected", reason: item } : { status: "fulfilled", value: item },
        ),
      );
    }),
  );
});

test("one that takes long does not hold up those behind it", async () => {
  const done: number[] = [];
  let finish = () => {};
  const long = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const all = sideBySide([0, 1, 2, 3], 2, async (item) => {
    if (item === 0) await long;
    done.push(item);
    if (item === 3) finish();
  });
  await all;
  expect(done).toEqual([1, 2, 3, 0]);
});
