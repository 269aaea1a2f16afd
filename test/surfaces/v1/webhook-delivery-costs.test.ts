/**
 * The list of deliveries costs one page, whatever comes after it, and each filter reaches the end.
 */
import { expect, test } from "vitest";
import type { StoredDelivery } from "../../../src/events/delivery-record";
import { type DomainEvent, uuidV7 } from "../../../src/events/event";
import { LOOKED_ROWS } from "../../../src/events/journal-lists";
import { newDelivery } from "../../../src/webhooks/delivery";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { changeDeliveries, storeRecords } from "../../support/journals";
import { rowsOf, written } from "../../support/rows";
import { DELIVERIES, pagesOf } from "../../support/webhooks";

/** The beginning of a day that retention has not reached. */
const BASE = (Math.floor(Date.now() / 86_400_000) - 3) * 86_400_000;

/** The event of delivery number `i`. */
const eventIdOf = (i: number) =>
  uuidV7(BASE + i, Uint8Array.from(Buffer.from(i.toString(16).padStart(20, "0"), "hex")));

const deliveryOf = (organisationId: number, i: number): StoredDelivery => ({
  ...newDelivery(
    { id: eventIdOf(i), organisationId, type: "connection.created" },
    "standard",
    "https://example.com/",
    i % 100 === 1 ? "whe_2" : "whe_1",
  ),
  status: i % 1000 === 0 ? "discarded" : i % 100 === 0 ? "failed" : "delivered",
  ...{ attempts: [], scheduledAttempts: 0, nextAttemptAt: null },
});

const idOf = (i: number) => deliveryOf(0, i).id;

/**
 * Stores so many deliveries: every hundredth failed, every thousandth was discarded, the others arrived.
 * Each one after a hundredth belongs to a second endpoint.
 */
async function storeDeliveries(tenant: Tenant, count: number): Promise<void> {
  await storeRecords(
    tenant.id,
    Array.from({ length: count }, (_, i) => ({
      event: {
        ...{
          id: eventIdOf(i),
          organisationId: tenant.id,
          type: "connection.created",
          at: BASE + i,
        },
        data: { connection: { connectionId: "a", memo: "" } },
      } as DomainEvent,
      deliveries: [deliveryOf(tenant.id, i)],
    })),
  );
}

const every = (step: number, from: number, below: number) =>
  Array.from({ length: Math.ceil((below - from) / step) }, (_, i) => from + i * step).toReversed();

test("each filter of the list of deliveries finds all that match, once, over short pages and long ones", async () => {
  const tenant = await newOrganisation();
  const count = 2 * LOOKED_ROWS + 501;
  await storeDeliveries(tenant, count);
  const wanted: [query: string, numbers: number[]][] = [
    ["status=discarded", every(1000, 0, count)],
    ["status=failed", every(100, 0, count).filter((i) => i % 1000 !== 0)],
    ["endpoint=whe_2", every(100, 1, count)],
    ["endpoint=whe_2&status=failed", []],
    ["endpoint=whe_1&status=discarded&event_type=connection.*", every(1000, 0, count)],
    ["status=pending", []],
    ["event_type=key.*", []],
    [`event=${eventIdOf(101)}`, [101]],
    [`event=${eventIdOf(100)}&status=failed`, [100]],
    [`event=${eventIdOf(101)}&status=failed`, []],
    [`event=${eventIdOf(count)}`, []],
  ];
  for (const [query, numbers] of wanted) {
    for (const limit of [2, 10, 100]) {
      const pages = await pagesOf(tenant, `${DELIVERIES}?limit=${limit}&${query}`);
      const found = pages.flat().map(({ id }) => id);
      expect(found, `${query} by ${limit}`).toEqual(numbers.map(idOf));
      expect(pages.every((page) => page.length <= limit)).toBe(true);
    }
  }
});

test("deliveries that arrive while pages are read hide nothing that is still undelivered", async () => {
  const tenant = await newOrganisation();
  const count = 2 * LOOKED_ROWS;
  await storeDeliveries(tenant, count);
  await changeDeliveries(tenant.id, (one) => ({ ...one, status: "failed" }));
  const pages: string[][] = [];
  let cursor = "";
  do {
    const { body } = await call(
      "GET",
      `${DELIVERIES}?status=failed&endpoint=whe_2&limit=100${cursor}`,
      {
        key: tenant.key,
      },
    );
    pages.push(body.data.map(({ id }: { id: string }) => id));
    cursor = body.next_cursor === null ? "" : `&cursor=${body.next_cursor}`;
    const arrived = new Set(every(1, count - 100, count).map(idOf));
    await changeDeliveries(tenant.id, (one) =>
      arrived.has(one.id) ? { ...one, status: "delivered" } : null,
    );
  } while (cursor !== "");
  expect(pages.length).toBeGreaterThan(1);
  expect(pages.flat()).toEqual(every(100, 1, count).map(idOf));
});

test("a page of deliveries reads a bounded number of rows among 50,000, and writes none", async () => {
  const tenant = await newOrganisation();
  await storeDeliveries(tenant, 50_000);
  const { body } = await call("GET", `${DELIVERIES}?limit=5`, { key: tenant.key });
  const read = async (query: string) => {
    const rows = await rowsOf(() => call("GET", `${DELIVERIES}?${query}`, { key: tenant.key }));
    expect(written(rows)).toBe(0);
    // In D1, which journals there are.
    expect(rows.d1Read).toBeLessThanOrEqual(2);
    return rows.objectRead;
  };
  // And the endpoints' addresses.
  const page = (limit: number) => limit + 2 + 2;
  expect(await read("")).toBeLessThanOrEqual(page(30));
  expect(await read(`limit=100&cursor=${body.next_cursor}`)).toBeLessThanOrEqual(page(100));
  const scanned = LOOKED_ROWS + 1;
  for (const query of ["status=pending", "endpoint=whe_2", "event_type=key.*"]) {
    expect(await read(query), query).toBeLessThanOrEqual(scanned + page(30));
  }
  // What did not arrive has an index: only that is looked at, in the index and then in the row.
  for (const query of ["status=failed", "status=discarded", "status=failed&endpoint=whe_2"]) {
    expect(await read(query), query).toBeLessThanOrEqual(3 * 500 + page(30));
  }
  // Those of one event are a range of the key.
  expect(await read(`event=${eventIdOf(7)}`)).toBeLessThanOrEqual(3);
  const one = await rowsOf(() =>
    call("GET", `${DELIVERIES}/${body.data[0].id}`, { key: tenant.key }),
  );
  expect(one).toMatchObject({ d1Read: 0, d1Written: 0, objectRead: 1, objectWritten: 0 });
});
