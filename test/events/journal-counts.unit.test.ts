/** How old what an isolate knows of the number of journals can be: a change must be known when it counts. */
import { expect, test } from "vitest";
import type { Database } from "../../src/db/open";
import {
  COUNT_CHANGE_LEAD_MS,
  findJournalCounts,
  setJournalCount,
} from "../../src/events/journal-counts";

/** D1 as one query sees it: each read waits until the test answers it. */
function slowDatabase() {
  const reads: ((counts: readonly { from: number; count: number }[] | Error) => void)[] = [];
  const where = () =>
    new Promise((resolve, reject) =>
      reads.push((counts) => (counts instanceof Error ? reject(counts) : resolve([{ counts }]))),
    );
  const db = { select: () => ({ from: () => ({ where }) }) } as unknown as Database;
  return { db, reads };
}

const OLD = [{ from: 0, count: 1 }];
const NEW = [{ from: 0, count: 2 }];
const START = 1_000_000;
let organisations = 0;

/** An organisation of which the isolate has read `OLD` at `START`. */
async function known() {
  const { db, reads } = slowDatabase();
  const id = ++organisations;
  const find = (now: number) => findJournalCounts(db, id, now);
  const first = find(START);
  reads[0]?.(OLD);
  await first;
  return { find, reads };
}

test("what was read is used for a minute", async () => {
  const { find, reads } = await known();
  expect(await find(START + 59_999)).toBe(OLD);
  expect(reads).toHaveLength(1);
});

test("while one request reads it again, the others go on for two seconds", async () => {
  const { find, reads } = await known();
  const again = find(START + 60_000);
  expect(await find(START + 61_999)).toBe(OLD);
  expect(reads).toHaveLength(2);
  const late = find(START + 62_000);
  expect(reads).toHaveLength(3);
  for (const answer of reads.slice(1)) answer(NEW);
  expect(await Promise.all([again, late])).toEqual([NEW, NEW]);
  expect(await find(START + 62_001)).toBe(NEW);
});

test.each([120_000, COUNT_CHANGE_LEAD_MS, 8 * 3_600_000])(
  "after %d ms without a read nobody uses it, also while one reads it again",
  async (idle) => {
    const { find, reads } = await known();
    const all = [find(START + idle), find(START + idle), find(START + idle + 1)];
    expect(reads).toHaveLength(4);
    for (const answer of reads.slice(1)) answer(NEW);
    expect(await Promise.all(all)).toEqual([NEW, NEW, NEW]);
  },
);

test("while D1 fails, it is used for two minutes at most", async () => {
  const { find, reads } = await known();
  for (let now = START + 60_000; now < START + 300_000; now += 1_000) {
    const before = reads.length;
    const found = find(now);
    if (reads.length > before) {
      reads.at(-1)?.(new Error("D1 is down"));
      await expect(found).rejects.toThrow("D1 is down");
    } else {
      expect(now - START).toBeLessThan(120_000);
      expect(await found).toBe(OLD);
    }
  }
});

test("a clock that goes back makes it read again", async () => {
  const { find, reads } = await known();
  const found = find(START - 1);
  expect(reads).toHaveLength(2);
  reads[1]?.(NEW);
  expect(await found).toBe(NEW);
});

test("a new number forgets changes that no kept event is from, but not the one that still counts", async () => {
  const day = 86_400_000;
  const now = 100 * day;
  const counts = [1, 50, 69.5, 90].map((days, i) => ({ from: days * day, count: i + 2 }));
  const stored: unknown[] = [];
  const db = {
    select: () => ({ from: () => ({ where: async () => [{ counts }] }) }),
    update: () => ({
      set: (values: unknown) => {
        stored.push(values);
        return { where: () => ({ returning: async () => [{ id: 1 }] }) };
      },
    }),
  } as unknown as Database;
  const input = { organisationId: 1, count: 64, retentionDays: 30 };
  const change = { from: now + COUNT_CHANGE_LEAD_MS, count: 64 };
  expect(await setJournalCount(db, input, now)).toEqual(change);
  // The oldest day that is kept begins at 69 or later.
  expect(stored).toEqual([{ journalCounts: [counts[1], counts[2], counts[3], change] }]);
});
