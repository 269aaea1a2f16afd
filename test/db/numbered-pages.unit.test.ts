/** Pages by number: which rows they have, and how many rows are skipped for them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  MOST_SKIPPED_ROWS,
  NumberedPages,
  type PageReading,
  SKIPPED_ROWS,
} from "../../src/db/numbered-pages";

/** A list of the numbers from 0 on, which are their own keys. It notes how many rows were skipped for each page. */
function listOf(total: number, { counts = true } = {}) {
  const skipped: number[] = [];
  const at = (i: number) => i;
  const reader = {
    count: counts ? async () => total : null,
    keyOf: (row: number) => row,
    async read({ after, fromEnd, skip, limit }: PageReading<number>) {
      skipped.push(skip);
      const start = fromEnd ? total - skip - limit : (after ?? -1) + 1 + skip;
      const length = Math.max(0, Math.min(limit, total - start));
      return { rows: Array.from({ length }, (_, i) => at(start + i)), total };
    },
  };
  return { reader, skipped };
}

const page = (offset: number, now = 0, limit = 100) => ({ list: "a", offset, limit, now });

describe("a page by number", () => {
  test("has its rows, whatever was read before, while the list stays as it is", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(20_000),
        fc.array(fc.tuple(fc.nat(21_000), fc.integer({ min: 1, max: 300 }), fc.nat(30_000))),
        async (total, wanted) => {
          const pages = new NumberedPages<number>();
          const { reader } = listOf(total);
          let now = 0;
          for (const [offset, limit, passed] of wanted) {
            now += passed;
            const found = await pages.read(page(offset, now, limit), reader);
            const length = Math.max(0, Math.min(limit, total - offset));
            expect(found).toEqual({
              rows: Array.from({ length }, (_, i) => offset + i),
              total,
            });
          }
        },
      ),
    );
  });

  test("that follows on another one skips nothing, also where several isolates take turns", async () => {
    const isolates = [new NumberedPages<number>(), new NumberedPages<number>()];
    const { reader, skipped } = listOf(1_000_000);
    for (let i = 0; i < 40; i++) await isolates[i % 2]?.read(page(300_000 + i * 100, i), reader);
    // The first page of each isolate is far from all that it knows; then it skips the other one's page.
    expect(skipped.slice(0, 2)).toEqual([300_000, 300_100]);
    expect(skipped.slice(2)).toEqual(skipped.slice(2).map(() => 100));
  });

  test("skips from the beginning up to a bound, and from the end behind the middle", async () => {
    const { reader, skipped } = listOf(10_000);
    for (const offset of [0, SKIPPED_ROWS, 4_000, 8_000, 9_900, 9_950]) {
      await new NumberedPages<number>().read(page(offset), reader);
    }
    expect(skipped).toEqual([0, SKIPPED_ROWS, 4_000, 1_900, 0, 0]);
  });

  test("behind the end is empty, and nothing is read for it", async () => {
    const { reader, skipped } = listOf(10_000);
    const found = await new NumberedPages<number>().read(page(Number.MAX_SAFE_INTEGER), reader);
    expect(found).toEqual({ rows: [], total: 10_000 });
    expect(skipped).toEqual([]);
  });

  test("is refused only where it is far from both ends and from what was read", async () => {
    const pages = new NumberedPages<number>();
    const short = listOf(2 * MOST_SKIPPED_ROWS);
    for (const offset of [MOST_SKIPPED_ROWS - 50, MOST_SKIPPED_ROWS, MOST_SKIPPED_ROWS + 1]) {
      expect(await pages.read(page(offset), short.reader)).not.toBeNull();
    }
    const long = listOf(2 * MOST_SKIPPED_ROWS + 200);
    const other = { ...page(MOST_SKIPPED_ROWS + 50), list: "b" };
    expect(await pages.read(other, long.reader)).toBeNull();
    expect(await pages.read({ ...other, offset: MOST_SKIPPED_ROWS }, long.reader)).not.toBeNull();
    expect(
      await pages.read({ ...other, offset: MOST_SKIPPED_ROWS + 100 }, long.reader),
    ).not.toBeNull();
    const uncounted = listOf(2 * MOST_SKIPPED_ROWS, { counts: false });
    expect(
      await pages.read({ ...page(MOST_SKIPPED_ROWS + 1), list: "c" }, uncounted.reader),
    ).toBeNull();
  });

  test("is what its number says again a minute after another page was read", async () => {
    const pages = new NumberedPages<number>();
    const { reader, skipped } = listOf(100_000);
    await pages.read(page(2_000, 0), reader);
    await pages.read(page(2_100, 59_999), reader);
    await pages.read(page(2_100, 60_000), reader);
    // The place at 2,200 is from the second read.
    await pages.read(page(2_200, 119_998), reader);
    expect(skipped).toEqual([2_000, 0, 2_100, 0]);
  });
});
