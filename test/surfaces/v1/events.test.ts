/**
 * Events on `/v1`: listed by type and time, a page at the cost of a page, and each one by its id.
 */
import { describe, expect, test } from "vitest";
import { type DomainEvent, newEventId, uuidV7 } from "../../../src/events/event";
import { LOOKED_ROWS } from "../../../src/events/journal-lists";
import type { KeyFacts } from "../../../src/keys/key";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { storeRecords } from "../../support/journals";
import { rowsOf, written } from "../../support/rows";
import { EVENTS, pagesOf } from "../../support/webhooks";

/** The beginning of a day that retention has not reached. */
const BASE = (Math.floor(Date.now() / 86_400_000) - 3) * 86_400_000;
const DAY = new Date(BASE).toISOString().slice(0, 10);

/** Event number `i`, which happened `i` seconds after `BASE`. */
function numbered({ id: organisationId }: Tenant, i: number): DomainEvent {
  const at = BASE + i * 1_000;
  const random = Uint8Array.from(Buffer.from(i.toString(16).padStart(20, "0"), "hex"));
  const connectionId = `c${i}`;
  const common = { id: uuidV7(at, random), organisationId, at };
  return i % 100 === 0
    ? {
        ...common,
        type: "relay-permission.deleted",
        data: {
          permission: {
            ...{ connectionId, remoteConnectionId: "b", direction: "send" },
            ...{ enabled: true, memo: "" },
          },
        },
      }
    : { ...common, type: "connection.created", data: { connection: { connectionId, memo: "" } } };
}

/**
 * Stores so many events, one for each second from `BASE`. The first and every hundredth after it is of a
 * deleted relay permission, the others are of registered connections.
 */
async function storeEvents(tenant: Tenant, count: number, oldest?: Partial<DomainEvent>) {
  const events = Array.from({ length: count }, (_, i) => numbered(tenant, i));
  await storeRecords(
    tenant.id,
    events.map((event, i) => ({ event: i === 0 ? { ...event, ...oldest } : event })),
  );
}

/** A key, as its events hold it. */
const SOME_KEY: KeyFacts = {
  id: 1,
  version: 1,
  name: "Game server",
  permissions: [],
  emails: [],
  labels: [],
  ipAllowlist: [],
  dnsName: null,
  blocked: false,
  createdAt: BASE,
  updatedAt: null,
  expiresAt: null,
};

const eventsAt = (tenant: Tenant, query = "") =>
  call("GET", `${EVENTS}?${query}`, { key: tenant.key });

type Shown = { id: string; type: string; timestamp: string; data: { connectionId: string } };

/** The numbers of the events of a page. */
const numbersOf = (page: unknown[]) =>
  (page as Shown[]).map(({ data }) => Number(data.connectionId.slice(1)));

/** The hundreds from this number down. */
const hundreds = (from: number) =>
  Array.from({ length: Math.floor(from / 100) + 1 }, (_, i) => i * 100).toReversed();

describe("the list of events", () => {
  test("is newest first, by pages, and shows each event whole", async () => {
    const tenant = await newOrganisation();
    await storeEvents(tenant, 7);
    const { status, body } = await eventsAt(tenant);
    expect(status).toBe(200);
    expect(numbersOf(body.data)).toEqual([6, 5, 4, 3, 2, 1, 0]);
    expect(body.next_cursor).toBeNull();
    expect(body.data[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7000-8000-[0-9a-f]{12}$/),
      type: "connection.created",
      timestamp: `${DAY}T00:00:06.000Z`,
      data: { connectionId: "c6", memo: "", version: BASE + 6_000 },
    });
    const pages = await pagesOf(tenant, `${EVENTS}?limit=3`);
    expect(pages.map(numbersOf)).toEqual([[6, 5, 4], [3, 2, 1], [0]]);
    expect((await pagesOf(tenant, `${EVENTS}?limit=7`)).map(numbersOf)).toHaveLength(1);
  });

  test("is filtered by a type, by the beginning of one, and by time, alone and together", async () => {
    const tenant = await newOrganisation();
    await storeEvents(tenant, 301);
    const numbers = async (query: string) =>
      numbersOf((await pagesOf(tenant, `${EVENTS}?limit=100&${query}`)).flat());
    expect(await numbers("type=relay-permission.deleted")).toEqual([300, 200, 100, 0]);
    expect(await numbers("type=relay-permission.*")).toEqual([300, 200, 100, 0]);
    expect(await numbers("type=device.pair.*")).toEqual([]);
    expect(await numbers("type=connection.*")).toHaveLength(297);
    expect(await numbers(`since=${DAY}T00:04:58Z`)).toEqual([300, 299, 298]);
    expect(await numbers(`since=${DAY}T00:04:58.001Z`)).toEqual([300, 299]);
    // A plus in a query has to be escaped.
    expect(await numbers(`since=${DAY}T02:05:00%2B02:00`)).toEqual([300]);
    expect(await numbers(`since=${DAY}T00:03:20Z&type=relay-permission.*`)).toEqual([300, 200]);
    expect(await numbers("since=2030-01-01T00:00:00Z")).toEqual([]);
    expect(await numbers("since=0001-01-01T00:00:00Z")).toHaveLength(301);
  });

  test("goes on after a short page where few of many events match", async () => {
    const tenant = await newOrganisation();
    const count = 2 * LOOKED_ROWS + 51;
    // The only match is the oldest event of all.
    await storeEvents(tenant, count, { type: "key.created", data: { key: SOME_KEY } });
    const pages = await pagesOf(tenant, `${EVENTS}?type=key.*`);
    expect(pages.map((page) => (page as Shown[]).map(({ type }) => type))).toEqual([
      [],
      [],
      ["key.created"],
    ]);
    // Every hundredth event is shown once, whatever the pages.
    for (const limit of [1, 7, 10, 11, 100]) {
      const found = await pagesOf(tenant, `${EVENTS}?type=relay-permission.deleted&limit=${limit}`);
      expect(numbersOf(found.flat()), `${limit}`).toEqual(hundreds(count - 1).slice(0, -1));
      expect(found.every((page) => page.length <= limit)).toBe(true);
    }
  });

  test("ends when the last event that was looked at is the last of all", async () => {
    const tenant = await newOrganisation();
    await storeEvents(tenant, LOOKED_ROWS);
    const pages = await pagesOf(tenant, `${EVENTS}?type=relay-permission.deleted&limit=10`);
    expect(numbersOf(pages.flat())).toEqual(hundreds(LOOKED_ROWS - 1));
  });

  test("reads one page of rows among 100,000 events", async () => {
    const tenant = await newOrganisation();
    await storeEvents(tenant, 100_000);
    const { body: page } = await eventsAt(tenant, "limit=50");
    // The caller's key is in memory by now.
    const read = async (query: string) => {
      const rows = await rowsOf(() => eventsAt(tenant, query));
      expect(written(rows)).toBe(0);
      // In D1, which journals there are.
      expect(rows.d1Read).toBeLessThanOrEqual(3);
      return rows.objectRead;
    };
    const since = new Date(BASE + 99_990_000).toISOString();
    // One more shows that the list goes on, one that an event has no further row, and one is read ahead.
    expect(await read("")).toBe(30 + 3);
    expect(await read("limit=100")).toBe(100 + 3);
    expect(await read(`limit=100&cursor=${page.next_cursor}`)).toBe(100 + 3);
    // Ten, and the one before it, which shows that there are no more.
    expect(await read(`limit=100&since=${since}`)).toBe(11);
    const most = LOOKED_ROWS + 31;
    expect(await read("type=relay-permission.*")).toBeLessThanOrEqual(most);
    expect(await read("type=key.created")).toBeLessThanOrEqual(most);
    expect(await read(`type=key.created&cursor=${page.next_cursor}`)).toBeLessThanOrEqual(most);
    const { id } = page.data[0];
    const one = await rowsOf(() => call("GET", `${EVENTS}/${id}`, { key: tenant.key }));
    expect(one).toMatchObject({ d1Read: 0, objectRead: 1 });
  });

  test.each([
    ["a type that there is not", "type=device.exploded", "type"],
    ["two types", "type=key.created,key.deleted", "type"],
    ["no type", "type=", "type"],
    ["a time that is none", "since=yesterday", "since"],
    ["a day without a time", "since=2026-01-01", "since"],
    ["a number of seconds", "since=1767225600", "since"],
    ["a cursor that is no event's", "cursor=whd_1", "cursor"],
    ["too large a page", "limit=101", "limit"],
    ["a parameter that nobody knows", "until=2026-01-01T00:00:00Z", "until"],
  ])("is refused with %s", async (_, query, path) => {
    const { status, body } = await eventsAt(await newOrganisation(), query);
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([{ path, message: expect.any(String) }]);
  });
});

describe("one event", () => {
  test("is read by its id with the fields of the list", async () => {
    const tenant = await newOrganisation();
    await storeEvents(tenant, 2);
    const { body: page } = await eventsAt(tenant);
    for (const event of page.data) {
      const { status, body } = await call("GET", `${EVENTS}/${event.id}`, { key: tenant.key });
      expect([status, body]).toEqual([200, event]);
    }
  });

  test.each(["0", "x", "00000000-0000-7000-8000-000000000000", "%00"])(
    "is not found under an id that never existed, such as %s",
    async (id) => {
      const { key } = await newOrganisation();
      const { status, body } = await call("GET", `${EVENTS}/${id}`, { key });
      expect([status, body.code]).toEqual([404, "event-not-found"]);
    },
  );
});

test("another organisation's events are in no list, behind no cursor, and cannot be read", async () => {
  const [owner, other] = [await newOrganisation(), await newOrganisation()];
  await storeEvents(owner, 3);
  const { body: page } = await eventsAt(owner);
  const { id } = page.data[0];
  expect((await eventsAt(other)).body).toEqual({ data: [], next_cursor: null });
  expect((await eventsAt(other, `cursor=${id}`)).body.data).toEqual([]);
  expect((await eventsAt(other, "type=connection.*")).body.data).toEqual([]);
  const headers = { "X-Request-Id": "same" };
  const theirs = await call("GET", `${EVENTS}/${id}`, { key: other.key, headers });
  const none = await call("GET", `${EVENTS}/never`, { key: other.key, headers });
  expect(theirs.status).toBe(404);
  expect(theirs.text).toBe(none.text.replaceAll("never", id));
});

test("events of endpoints from before all of today's fields are shown like others", async () => {
  const tenant = await newOrganisation();
  const id = newEventId(Date.now());
  const endpoint = {
    organisationId: tenant.id,
    id: "whe_1",
    url: "https://example.com/",
    format: "ricloud",
    enabled: true,
    valid: null,
    secretVersion: 1,
    origin: "https://drawbridge.example.com",
    createdAt: 0,
  };
  const common = { id, organisationId: tenant.id, at: 0 };
  const event: DomainEvent = { ...common, type: "webhook_config.test", data: { endpoint } };
  await storeRecords(tenant.id, [{ event }]);
  const { status, body } = await eventsAt(tenant);
  expect(status).toBe(200);
  expect(body.data).toMatchObject([
    { id, data: { id: "whe_1", version: 1, event_types: null, failing_since: null } },
  ]);
});
