/** Pages of several journals make one list: in order, each row once, and nothing left out. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { JournalPage } from "../../src/events/journal-calls";
import { mergePages } from "../../src/events/merged-page";

interface Row {
  id: string;
  fits: boolean;
}

/** What a journal answers: rows that fit, in a bounded number of rows. */
function pageOf(
  journal: readonly Row[],
  below: string | null,
  limit: number,
  mostRows: number,
): JournalPage<Row> {
  const rows: Row[] = [];
  let looked = 0;
  for (const row of journal.filter(({ id }) => below === null || id < below)) {
    looked += 1;
    if (row.fits) rows.push(row);
    if (rows.length === limit || looked === mostRows) return { rows, next: row.id, looked };
  }
  return { rows, next: null, looked };
}

const rowsOfDay = fc
  .uniqueArray(fc.integer({ min: 0, max: 999 }), { maxLength: 60 })
  .map((all) => all.sort((a, b) => b - a).map((n) => String(n).padStart(3, "0")));

test("page after page gives every row that fits once, newest first, of any number of journals", () => {
  fc.assert(
    fc.property(
      rowsOfDay,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      (ids, count, limit, mostRows, every) => {
        const rows = ids.map((id) => ({ id, fits: Number(id) % every === 0 }));
        const journals = Array.from({ length: count }, (_, number) =>
          rows.filter(({ id }) => (Number(id) * 7) % count === number),
        );
        const found: string[] = [];
        let below: string | null = null;
        for (let pages = 0; ; pages++) {
          expect(pages).toBeLessThan(200);
          const pagesOfAll = journals.map((one) => pageOf(one, below, limit + 1, mostRows));
          const merged: ReturnType<typeof mergePages<Row>> = mergePages(pagesOfAll, limit);
          expect(merged.rows.length).toBeLessThanOrEqual(limit);
          found.push(...merged.rows.map(({ id }) => id));
          if (merged.next === null) break;
          if (below !== null) expect(merged.next < below).toBe(true);
          below = merged.next;
        }
        expect(found).toEqual(rows.filter(({ fits }) => fits).map(({ id }) => id));
      },
    ),
  );
});
