/** Nobody waits for ever for a journal that hangs, and a journal does not wait for ever for D1. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Database } from "../../src/db/open";
import type { JournalCalls } from "../../src/events/journal-calls";
import { JournalClient } from "../../src/events/journal-client";
import { D1_MS, Listeners } from "../../src/journals/listeners";
import { UnavailableError } from "../../src/platform/unavailable";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<never>(() => undefined);
const KEY = { organisationId: 1, day: 20_783, number: 0 };

function clientOf(journal: Partial<JournalCalls>) {
  const getByName = vi.fn(() => journal);
  return { client: new JournalClient({ DB: {}, JOURNALS: { getByName } } as never), getByName };
}

/** What became of a promise when so much time has passed. */
async function after(milliseconds: number, work: Promise<unknown>): Promise<unknown> {
  let state: unknown = "open";
  work.then(
    (value) => {
      state = value;
    },
    (error) => {
      state = error;
    },
  );
  await vi.advanceTimersByTimeAsync(milliseconds);
  return state;
}

test.each([
  [undefined, 10_000],
  [3_000, 3_000],
])("a call with the limit %s is given up after %d ms, and not made again", async (limit, ms) => {
  const { client, getByName } = clientOf({ find: never });
  const called = client.call(KEY, (journal) => journal.find([]), limit);
  called.catch(() => undefined);
  expect(await after(ms - 1, called)).toBe("open");
  expect(await after(1, called)).toBeInstanceOf(UnavailableError);
  expect(getByName).toHaveBeenCalledTimes(1);
});

test("the second call shares the limit of the first", async () => {
  let calls = 0;
  const fails = () =>
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error("lost")), 9_000));
  const { client } = clientOf({ find: () => (calls++ === 0 ? fails() : never()) });
  const called = client.call(KEY, (journal) => journal.find([]));
  called.catch(() => undefined);
  expect(await after(9_999, called)).toBe("open");
  expect(calls).toBe(2);
  expect(await after(1, called)).toBeInstanceOf(UnavailableError);
});

test("a journal gives up a read of endpoints that hangs, and the next event reads them anew", async () => {
  const where = vi.fn(never);
  const db = { select: () => ({ from: () => ({ where }) }) } as unknown as Database;
  const listeners = new Listeners(db, 1);
  const [first, joined] = [listeners.current(0), listeners.current(1)];
  joined.catch(() => undefined);
  expect(await after(D1_MS - 1, first)).toBe("open");
  expect(await after(1, first)).toBeInstanceOf(Error);
  await expect(joined).rejects.toThrow("no answer in time");
  expect(where).toHaveBeenCalledTimes(1);
  where.mockResolvedValueOnce([] as never);
  expect(await listeners.current(2)).toEqual([]);
});
