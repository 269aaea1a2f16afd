/**
 * A page of events reads a bounded number of rows at 100,000 events, with every filter alone and in
 * pairs.
 */
import { beforeAll, expect, test } from "vitest";
import { type DomainEvent, uuidV7 } from "../../../src/events/event";
import { LOOKED_ROWS } from "../../../src/events/journal-lists";
import { newDelivery } from "../../../src/webhooks/delivery";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { storeRecords } from "../../support/journals";
import { rowsOf } from "../../support/rows";

const COUNT = 100_000;
/** When the first event happened; each later one happened a second after the one before. */
const FIRST = (Math.floor(Date.now() / 86_400_000) - 3) * 86_400_000;

interface Made {
  i: number;
  at: number;
  type: string;
  action: string;
  state: string;
}

/**
 * Event number `i`. Those of connections are few and old, and were sent to nobody; those of keys were
 * sent to an endpoint. The newest are of sessions, and nobody was to get them.
 */
function made(i: number): Made {
  const type = i < 50 ? "connection" : i >= 60_000 && i < 70_000 ? "key" : "session";
  return {
    i,
    at: FIRST + i * 1_000,
    type,
    action: type !== "session" || i % 2 === 0 ? "created" : "active",
    state: type === "connection" ? "failed" : type === "key" ? "delivered" : "pending",
  };
}

const all = Array.from({ length: COUNT }, (_, n) => made(COUNT - 1 - n));
let tenant: Tenant;

beforeAll(async () => {
  tenant = await newOrganisation();
  const session = {
    id: "x",
    kind: "relay",
    version: 1,
    status: "active",
    keyId: 1,
    createdAt: 0,
    expiresAt: 0,
    metadata: null,
    users: [],
    source: null,
  };
  const key = {
    id: 1,
    name: "Key",
    blocked: false,
    permissions: [],
    createdAt: 0,
    expiresAt: null,
  };
  const connection = { connectionId: "plant-a", memo: "" };
  const dataOf = { connection: { connection }, key: { key }, session: { session } };
  const records = Array.from({ length: COUNT }, (_, i) => {
    const { at, type, action, state } = made(i);
    const random = Uint8Array.from(Buffer.from(i.toString(16).padStart(20, "0"), "hex"));
    const event = {
      ...{ id: uuidV7(at, random), organisationId: tenant.id, type: `${type}.${action}`, at },
      data: dataOf[type as keyof typeof dataOf],
    } as DomainEvent;
    const delivery = newDelivery(event, "ricloud", "https://example.com", "whe_1");
    const stored = {
      ...delivery,
      status: state as "delivered" | "failed",
      ...{ attempts: [], scheduledAttempts: 0, nextAttemptAt: null },
    };
    return { event, deliveries: state === "pending" ? [] : [stored] };
  });
  await storeRecords(tenant.id, records);
}, 300_000);

const date = (i: number) => `${new Date(FIRST + i * 1_000).toISOString().slice(0, 19)}Z`;

type Filter = [query: string, fits: (event: Made) => boolean];

const filters: Filter[] = [
  ["type=session", ({ type }) => type === "session"],
  ["type=key", ({ type }) => type === "key"],
  ["type=connection", ({ type }) => type === "connection"],
  ["type=nothing", () => false],
  ["action=created", ({ action }) => action === "created"],
  ["action=active", ({ action }) => action === "active"],
  ["state=pending", ({ state }) => state === "pending"],
  ["state=delivered", ({ state }) => state === "delivered"],
  ["state=failed", ({ state }) => state === "failed"],
  [`date_created=${date(65_000)}`, ({ i }) => i === 65_000],
  [`date_created[lt]=${date(1_000)}`, ({ i }) => i < 1_000],
  [`date_created[gte]=${date(50_000)}`, ({ i }) => i >= 50_000],
];

function dates(query: string): Filter[] {
  return filters.filter(([one]) => one.startsWith("date") && query.endsWith(one));
}

function expected(...fits: Filter[1][]): number[] {
  return all.filter((event) => fits.every((isFit) => isFit(event))).map(({ i }) => i);
}

async function pageOf(query: string) {
  let page: { numbers: number[]; hasMore: boolean; next: string | undefined } | undefined;
  const rows = await rowsOf(async () => {
    const { status, body, text } = await call("GET", `/events?${query}`, { key: tenant.key });
    if (status !== 200) throw new Error(`${query}: ${text}`);
    const ids: string[] = body.data.map(({ id }: { id: string }) => id);
    const numbers = ids.map((id) => Number.parseInt(id.slice(24), 16));
    page = { numbers, hasMore: body.has_more, next: body.next_after_id };
  });
  if (!page) throw new Error("there is no page");
  return { ...page, read: rows.d1Read + rows.objectRead };
}

/** A full page: each event, and the state of its deliveries. */
const PAGE = 100;
/** Rows of one event that is looked at and not shown. */
const IN_VAIN = 1;

test.each(
  filters.flatMap(([one, fitsOne], n): Filter[] => [
    [one, fitsOne],
    ...filters
      .slice(n + 1)
      .filter(([two]) => two.split(/[[=]/)[0] !== one.split(/[[=]/)[0])
      .map(
        ([two, fitsTwo]): Filter => [`${one}&${two}`, (event) => fitsOne(event) && fitsTwo(event)],
      ),
  ]),
)("the list of events with %s costs one page among 100,000", async (query, fits) => {
  const wanted = expected(fits);
  const { numbers, hasMore, next, read } = await pageOf(query);
  expect(numbers).toEqual(wanted.slice(0, numbers.length));
  expect(hasMore).toBe(next !== undefined || wanted.length > 10);
  if (next === undefined) expect(numbers.length).toBe(Math.min(10, wanted.length));
  // Events that are newer than the last one shown, in the time that is asked for, were looked at
  // and not shown.
  const inTime = all.filter((event) => dates(query).every(([, isFit]) => isFit(event)));
  const vain = inTime.findIndex(({ i }) => i === numbers.at(9));
  expect(read).toBeLessThanOrEqual(PAGE + (vain === -1 ? LOOKED_ROWS : vain) * IN_VAIN);
});

test.each(["type=connection", "state=failed", "type=key&action=active"])(
  "the list of events with %s leaves nothing out behind pages that ended early",
  async (query) => {
    const fits = filters.filter(([one]) => query.split("&").includes(one));
    const found: number[] = [];
    let after = "";
    let pages = 0;
    for (; pages < 100; pages++) {
      const page = await pageOf(`limit=100&${query}${after}`);
      found.push(...page.numbers);
      if (!page.hasMore) break;
      if (!page.next) throw new Error("the page is full: nothing here has so many matches");
      after = `&after_id=${page.next}`;
    }
    expect(found).toEqual(expected(...fits.map(([, isFit]) => isFit)));
    expect(pages).toBeGreaterThan(40);
    expect(pages).toBeLessThan(60);
  },
);
