/**
 * Lists go through an organisation's journals, day after day, however many there are, and while days are
 * dropped. An id that never existed leaves nothing behind.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newEventId } from "../../src/events/event";
import type { JournalKey } from "../../src/events/journal-key";
import { READ_JOURNALS } from "../../src/events/journal-lists";
import { JournalObject } from "../../src/journals/object";
import { readConfig } from "../../src/platform/config";
import { dropJournals } from "../../src/sweep/sweep-journals";
import { call, newOrganisation } from "../support/client";
import { journalStub, journals, journalsOf, storeRecords } from "../support/journals";
import { make, TYPES } from "../support/made-records";
import { EVENTS, pagesOf } from "../support/webhooks";

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
