/**
 * Lists go through an organisation's journals, day after day: each row once, newest first, whatever arrives
 * meanwhile, with every filter, in however many journals a day is spread.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoredDelivery } from "../../src/events/delivery-record";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { READ_JOURNALS } from "../../src/events/journal-lists";
import { newDelivery } from "../../src/webhooks/delivery";
import { call, newOrganisation, type Tenant } from "../support/client";
import { journalStub, journalsOf, storeRecords } from "../support/journals";
import { DELIVERIES, EVENTS, pagesOf } from "../support/webhooks";

const DAY_MS = 86_400_000;
const TYPES = ["connection.created", "connection.deleted"] as const;
const STATUSES = ["pending", "delivered", "failed", "discarded"] as const;

/** A record as a test thinks of it: the model is a list of these. */
interface Made {
  event: DomainEvent;
  deliveries: StoredDelivery[];
}

function make(
  { id: organisationId }: Tenant,
  at: number,
  type: (typeof TYPES)[number],
  statuses: readonly StoredDelivery["status"][],
): Made {
  const data = { connection: { connectionId: "a", memo: "" } };
  const event: DomainEvent = { id: newEventId(at), organisationId, type, at, data };
  const deliveries = statuses.map((status, i) => ({
    ...newDelivery(event, "standard", "https://example.com/", `whe_${i}`),
    ...{ status, attempts: [], scheduledAttempts: 0, nextAttemptAt: null },
  }));
  return { event, deliveries };
}

/** An organisation whose days are spread over so many journals since ever. */
async function organisationWith(count: number): Promise<Tenant> {
  const tenant = await newOrganisation();
  await env.DB.prepare("update organisations set journal_counts = ? where id = ?")
    .bind(JSON.stringify([{ from: 0, count }]), tenant.id)
    .run();
  return tenant;
}

const newestFirst = (ids: readonly string[]) => ids.toSorted().toReversed();

const record = fc.record({
  daysAgo: fc.integer({ min: 0, max: 12 }),
  offset: fc.integer({ min: 0, max: 3 }),
  type: fc.constantFrom(...TYPES),
  statuses: fc.array(fc.constantFrom(...STATUSES), { maxLength: 10 }),
});

/** Walks through a list; after each page, something else is recorded. */
async function walk(tenant: Tenant, path: string, arrives: () => Promise<void>): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < 500; pages++) {
    const more: string = cursor === null ? "" : `&cursor=${cursor}`;
    const { status, body, text } = await call("GET", path + more, { key: tenant.key });
    expect(status, text).toBe(200);
    found.push(...body.data.map(({ id }: { id: string }) => id));
    cursor = body.next_cursor;
    if (cursor === null) return found;
    await arrives();
  }
  throw new Error("the list never ends");
}

test("pages show what was there once and in order, and what arrives meanwhile at most once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { maxLength: 25 }),
      fc.array(record, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 9 }),
      async (first, arriving, count, limit) => {
        const tenant = await organisationWith(count);
        // Few moments, so that some events have the same one, and borders of days among them.
        const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
        const toMade = (one: (typeof first)[number]) => {
          const at = today - one.daysAgo * DAY_MS - (one.offset % 2) + (one.offset > 1 ? 1 : 0);
          return make(tenant, at, one.type, one.statuses);
        };
        const model = first.map(toMade);
        await storeRecords(tenant.id, model);
        const later = arriving.map(toMade);
        let next = 0;
        const arrives = async () => {
          const one = later[next++];
          if (one) await storeRecords(tenant.id, [one]);
        };
        const lists: [path: string, idsOf: (all: readonly Made[]) => string[]][] = [
          [EVENTS, (all) => all.map(({ event }) => event.id)],
          [
            `${EVENTS}?type=connection.deleted`,
            (all) => all.flatMap(({ event }) => (event.type === TYPES[1] ? event.id : [])),
          ],
          [DELIVERIES, (all) => all.flatMap(({ deliveries }) => deliveries.map(({ id }) => id))],
          [
            `${DELIVERIES}?status=failed`,
            (all) =>
              all.flatMap(({ deliveries }) =>
                deliveries.flatMap(({ id, status }) => (status === "failed" ? id : [])),
              ),
          ],
          [
            `${DELIVERIES}?endpoint=whe_1&status=pending`,
            (all) =>
              all.flatMap(({ deliveries }) =>
                deliveries.flatMap(({ id, status, endpointId }) =>
                  status === "pending" && endpointId === "whe_1" ? id : [],
                ),
              ),
          ],
        ];
        const known = [...model];
        for (const [path, idsOf] of lists) {
          const before = next;
          const query = `${path}${path.includes("?") ? "&" : "?"}limit=${limit}`;
          const found = await walk(tenant, query, arrives);
          expect(found).toEqual(newestFirst([...new Set(found)]));
          const arrived = later.slice(before, next);
          const late = new Set(idsOf(arrived));
          expect(found.filter((id) => !late.has(id))).toEqual(newestFirst(idsOf(known)));
          known.push(...arrived);
        }
      },
    ),
    { numRuns: 12 },
  );
}, 300_000);

describe("an organisation with more days than a page reads", () => {
  test("has all of its events shown, over pages that may be short", async () => {
    const tenant = await newOrganisation();
    const days = 2 * READ_JOURNALS + 10;
    const now = Date.now();
    const all = Array.from({ length: days }, (_, i) =>
      make(tenant, now - i * DAY_MS, i === days - 1 ? TYPES[1] : TYPES[0], []),
    );
    await storeRecords(tenant.id, all);
    const pages = await pagesOf(tenant, `${EVENTS}?limit=100`);
    expect(pages.flat().map(({ id }) => id)).toEqual(all.map(({ event }) => event.id));
    // The only one that fits is on the oldest day.
    const last = await pagesOf(tenant, `${EVENTS}?type=connection.deleted`);
    expect(last.map((page) => page.length)).toEqual([0, 0, 1]);
  }, 300_000);
});

test("a list goes on while retention drops the day that it is at", async () => {
  const tenant = await newOrganisation();
  const now = Date.now();
  const all = [0, 1, 2].flatMap((day) =>
    [0, 1].map((i) => make(tenant, now - day * DAY_MS - i, TYPES[0], [])),
  );
  await storeRecords(tenant.id, all);
  const { body } = await call("GET", `${EVENTS}?limit=3`, { key: tenant.key });
  const [, , third] = all;
  expect(body.next_cursor).toBe(third?.event.id);
  const [, yesterday] = await journalsOf(tenant.id);
  if (!yesterday) throw new Error("there are three days");
  await journalStub(yesterday).drop();
  const rest = await pagesOf(tenant, `${EVENTS}?limit=3&cursor=${body.next_cursor}`);
  expect(rest.flat().map(({ id }) => id)).toEqual(all.slice(4).map(({ event }) => event.id));
});

describe("an id that never existed", () => {
  test.each([
    ["of today", () => newEventId(Date.now())],
    ["of last week", () => newEventId(Date.now() - 7 * DAY_MS)],
  ])("%s makes no journal", async (_, newId) => {
    const tenant = await newOrganisation();
    const id = newId();
    const { status } = await call("GET", `${EVENTS}/${id}`, { key: tenant.key });
    expect(status).toBe(404);
    expect(await journalsOf(tenant.id)).toEqual([]);
    const day = Math.floor(Number.parseInt(id.replace("-", "").slice(0, 12), 16) / DAY_MS);
    const stub = journalStub({ organisationId: tenant.id, day, number: 0 });
    const tables = await runInDurableObject(stub, (_object, { storage }) =>
      storage.sql
        .exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'")
        .toArray(),
    );
    expect(tables).toEqual([]);
  });
});
