/**
 * Lists go through an organisation's journals, day after day, however many there are, and while days are
 * dropped. An id that never existed leaves nothing behind.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newEventId } from "../../src/events/event";
import { dayAt, type JournalKey } from "../../src/events/journal-key";
import { READ_JOURNALS } from "../../src/events/journal-lists";
import { JournalObject } from "../../src/journals/object";
import { readConfig } from "../../src/platform/config";
import { dropJournals } from "../../src/sweep/sweep-journals";
import { call, newOrganisation } from "../support/client";
import { journalStub, journals, journalsOf, storeRecords } from "../support/journals";
import { make, organisationWith, TYPES } from "../support/made-records";
import { DELIVERIES, EVENTS, pagesOf } from "../support/webhooks";

const DAY_MS = 86_400_000;
afterEach(() => {
  vi.restoreAllMocks();
});

/** Has the sweep drop journals, as retention does. */
const drop = (keys: readonly JournalKey[]) =>
  dropJournals(
    { db: journals.db, config: readConfig(env), events: { journals } as never, now: Date.now() },
    keys,
  );

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

test("a page goes on while retention drops a day that it has begun, and the day after that", async () => {
  const tenant = await newOrganisation();
  const now = Date.now();
  const all = [0, 1, 2, 3].flatMap((day) =>
    [0, 1].map((i) => make(tenant, now - day * DAY_MS - i, TYPES[i === 0 ? 0 : 1], [])),
  );
  await storeRecords(tenant.id, all);
  const keys = await journalsOf(tenant.id);
  const list = JournalObject.prototype.listEvents;
  let calls = 0;
  vi.spyOn(JournalObject.prototype, "listEvents").mockImplementation(async function (
    this: JournalObject,
    query,
  ) {
    // Each answer looks at one event, so that a day takes three.
    const page = await list.call(this, { ...query, mostRows: 1 });
    if (++calls === 4) await drop(keys.slice(1, 3));
    return page;
  });
  const { status, body } = await call("GET", EVENTS, { key: tenant.key });
  expect(status).toBe(200);
  const left = [all[0], all[1], all[2], all[6], all[7]].map((made) => made?.event.id);
  expect(body.data.map(({ id }: { id: string }) => id)).toEqual(left);
  expect(body.next_cursor).toBeNull();
});

describe("an id that never existed", () => {
  const deliveryOf = (id: string) => `whd_${id.replaceAll("-", "")}_000000000000`;
  const asks = [
    ["GET", (id: string) => `${EVENTS}/${id}`],
    ["GET", (id: string) => `/events/${id}`],
    ["GET", (id: string) => `${DELIVERIES}/${deliveryOf(id)}`],
    ["GET", (id: string) => `${DELIVERIES}?event=${id}`],
    ["POST", (id: string) => `${DELIVERIES}/${deliveryOf(id)}:resend`],
  ] as const;

  test.each([
    ["of today", () => Date.now()],
    ["of last week", () => Date.now() - 7 * DAY_MS],
  ])("%s makes no journal, whatever is asked about it", async (_, timeOf) => {
    const { key, id: organisationId } = await newOrganisation();
    const time = timeOf();
    const id = newEventId(time);
    const answers = await Promise.all(
      asks.map(([method, path]) => call(method, path(id), { key })),
    );
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 200, 404]);
    expect(answers[3]?.body.data).toEqual([]);
    expect(await journalsOf(organisationId)).toEqual([]);
    const stub = journalStub({ organisationId, day: dayAt(time), number: 0 });
    const tables = await runInDurableObject(stub, (_object, { storage }) =>
      storage.sql
        .exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'")
        .toArray(),
    );
    expect(tables).toEqual([]);
  });
});

test("an event and a delivery are found by their id with one call of one journal, of several a day", async () => {
  const tenant = await organisationWith(5);
  const all = [0, 1, 2].map((day) =>
    make(tenant, Date.now() - day * DAY_MS, TYPES[0], ["delivered"]),
  );
  await storeRecords(tenant.id, all);
  const called = vi.spyOn(env.JOURNALS, "getByName");
  for (const { event, deliveries } of all) {
    for (const path of [`${EVENTS}/${event.id}`, `${DELIVERIES}/${deliveries[0]?.id}`]) {
      called.mockClear();
      const { status } = await call("GET", path, { key: tenant.key });
      expect([status, called.mock.calls.length], path).toEqual([200, 1]);
    }
  }
});
