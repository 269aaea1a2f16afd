/** A list goes from day to day and ends, also where the journals of two days are more than a page reads. */
import { beforeEach, expect, test, vi } from "vitest";
import type { JournalCalls, JournalPage } from "../../src/events/journal-calls";
import type { JournalClient } from "../../src/events/journal-client";
import {
  DAY_MS,
  firstDeliveryAt,
  firstEventIdAt,
  type JournalKey,
} from "../../src/events/journal-key";
import { listDeliveries, listEvents } from "../../src/events/journal-lists";
import type { DayRange } from "../../src/events/journal-registry";

const known = vi.hoisted(() => ({ journals: [] as JournalKey[] }));

vi.mock("../../src/events/journal-registry", () => ({
  listJournals: async (_: unknown, _organisation: number, range: DayRange, limit: number) =>
    known.journals
      .filter(
        ({ day }) =>
          (range.from === null || day >= range.from) &&
          (range.until === null || day <= range.until),
      )
      .slice(0, limit),
}));

const TODAY = 20_783;

/** Which journals were read, with repetitions. */
let read: JournalKey[] = [];
beforeEach(() => {
  read = [];
});

/** Journals with one row each: `counts` says how many each day has, today first. */
function clientOf(counts: readonly number[], idAt: (time: number) => string): JournalClient {
  known.journals = counts.flatMap((count, daysAgo) =>
    Array.from({ length: count }, (_, i) => ({
      organisationId: 1,
      day: TODAY - daysAgo,
      number: count - 1 - i,
    })),
  );
  const call = async (key: JournalKey, work: (journal: JournalCalls) => Promise<unknown>) => {
    read.push(key);
    const page = async ({ below }: { below: string | null }): Promise<JournalPage<unknown>> => {
      const id = idAt(key.day * DAY_MS + key.number);
      const rows = below === null || id < below ? [{ id }] : [];
      return { rows, next: null, looked: 1 };
    };
    return work({ listEvents: page, listDeliveries: page } as unknown as JournalCalls);
  };
  return { db: null, call } as unknown as JournalClient;
}

const noFilter = { above: null, since: null, until: null, pattern: null, limit: 1_000 };
const ofEvents = { ...noFilter, subject: null, action: null, state: null };
const ofDeliveries = { eventId: null, endpointId: null, pattern: null, status: null, limit: 1_000 };
const deliveryAt = (time: number) => `${firstDeliveryAt(time)}_000000000001`;

const lists = {
  events: {
    idAt: firstEventIdAt,
    list: (client: JournalClient, below: string | null) =>
      listEvents(client, 1, { ...ofEvents, below }),
  },
  deliveries: {
    idAt: deliveryAt,
    list: (client: JournalClient, below: string | null) =>
      listDeliveries(client, 1, { ...ofDeliveries, below }),
  },
};

test.each([
  ["events", "40 journals a day", [40, 40, 40]],
  ["events", "64 today, then 1", [64, 1]],
  ["events", "33 and 32", [33, 32, 33]],
  ["events", "1 a day for 200 days", Array(200).fill(1)],
  ["deliveries", "40 journals a day", [40, 40, 40]],
  ["deliveries", "64 today, then 1", [64, 1]],
] as const)("%s, %s: every row once, and each journal is read once", async (kind, _, counts) => {
  const { idAt, list } = lists[kind];
  const client = clientOf(counts, idAt);
  const found: string[] = [];
  let below: string | null = null;
  for (let pages = 0; ; pages++) {
    expect(pages, "the list ends").toBeLessThan(counts.length + 1);
    const page: Awaited<ReturnType<typeof list>> = await list(client, below);
    expect(page.rows.length, "no page is empty").toBeGreaterThan(0);
    found.push(...page.rows.map(({ id }) => id));
    below = page.next;
    if (below === null) break;
  }
  const all = known.journals.map(({ day, number }) => idAt(day * DAY_MS + number));
  expect(found).toEqual(all);
  expect(read).toHaveLength(all.length);
});

test.each([
  ["a page of three reads three journals of 200 days", Array(200).fill(1), 3, [0, 1, 2]],
  ["the journals of a day are read together", [2, 3, 1, 1], 4, [0, 0, 1, 1, 1]],
  ["days without a journal are not read", [1, ...Array(5_000).fill(0), 1, 1], 3, [0, 5_001, 5_002]],
] as const)("%s", async (_, counts, limit, daysAgo) => {
  for (const [filter, idAt, list] of [
    [ofEvents, firstEventIdAt, listEvents],
    [ofDeliveries, deliveryAt, listDeliveries],
  ] as const) {
    read = [];
    const client = clientOf(counts, idAt);
    const { rows } = await list(client, 1, { ...filter, below: null, limit } as never);
    expect(rows).toHaveLength(limit);
    expect(read.map(({ day }) => TODAY - day)).toEqual(daysAgo);
  }
});

test("a window that ends at midnight does not read the day after it", async () => {
  const client = clientOf([1, 1, 1], firstEventIdAt);
  const { rows } = await listEvents(client, 1, { ...ofEvents, below: null, until: TODAY * DAY_MS });
  expect(rows).toHaveLength(2);
  expect(read.map(({ day }) => day)).toEqual([TODAY - 1, TODAY - 2]);
});
