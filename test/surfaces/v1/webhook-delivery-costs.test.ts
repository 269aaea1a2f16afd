/**
 * The list of deliveries costs one page, whatever comes after it, and each filter reaches the end.
 */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { SCANNED_ROWS } from "../../../src/db/scan";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { withD1 } from "../../support/d1";
import { rowsOf } from "../../support/rows";
import { DELIVERIES, pagesOf } from "../../support/webhooks";

const idOf = (i: number) => `whd_${i.toString(16).padStart(32, "0")}_${"0".repeat(12)}`;

/**
 * Stores so many deliveries in one statement: every hundredth failed, every thousandth was
 * discarded, the others arrived. Each one after a hundredth belongs to a second endpoint.
 */
async function storeDeliveries(tenant: Tenant, count: number): Promise<void> {
  await env.DB.prepare(
    `insert into deliveries (organisation_id, id, event_id, event_type, format, url, status, attempts,
       attempt_count, next_attempt_at, endpoint_id)
     with recursive n(i) as (select 0 union all select i + 1 from n where i < ? - 1)
     select ?, 'whd_' || printf('%032x', i) || '_000000000000', 'e', 'connection.created', 'standard',
       'https://example.com/',
       case when i % 1000 = 0 then 'discarded' when i % 100 = 0 then 'failed' else 'delivered' end,
       '[]', 1, null, iif(i % 100 = 1, 'whe_2', 'whe_1') from n`,
  )
    .bind(count, tenant.id)
    .run();
}

/** The event of the delivery with this number. */
const eventOf = (i: number) =>
  i
    .toString(16)
    .padStart(32, "0")
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");

const every = (step: number, from: number, below: number) =>
  Array.from({ length: Math.ceil((below - from) / step) }, (_, i) => from + i * step).toReversed();

test("each filter of the list of deliveries finds all that match, once, over short pages and long ones", async () => {
  const tenant = await newOrganisation();
  const count = 2 * SCANNED_ROWS + 501;
  await storeDeliveries(tenant, count);
  const wanted: [query: string, numbers: number[]][] = [
    ["status=discarded", every(1000, 0, count)],
    ["status=failed", every(100, 0, count).filter((i) => i % 1000 !== 0)],
    ["endpoint=whe_2", every(100, 1, count)],
    ["endpoint=whe_2&status=failed", []],
    ["endpoint=whe_1&status=discarded&event_type=connection.*", every(1000, 0, count)],
    ["status=pending", []],
    ["event_type=key.*", []],
    [`event=${eventOf(101)}`, [101]],
    [`event=${eventOf(100)}&status=failed`, [100]],
    [`event=${eventOf(101)}&status=failed`, []],
    [`event=${eventOf(count)}`, []],
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

test("deliveries that arrive while a page is read hide nothing that is still undelivered", async () => {
  const tenant = await newOrganisation();
  const count = 2 * SCANNED_ROWS;
  await storeDeliveries(tenant, count);
  const mark = async (change: string, from: number, below: number) => {
    await env.DB.prepare(
      `update deliveries set ${change} where organisation_id = ? and id >= ? and id < ?`,
    )
      .bind(tenant.id, idOf(from), idOf(below))
      .run();
  };
  await mark("status = 'failed'", 0, count);
  // After the end of the first page, and before that end once so many have arrived.
  const hidden = count - SCANNED_ROWS - 50;
  await mark("endpoint_id = 'whe_3'", hidden, hidden + 1);
  let arrived = false;
  const pages = await withD1(
    async (sql) => {
      if (arrived || !sql.includes("offset")) return;
      arrived = true;
      await mark("status = 'delivered'", count - 100, count);
    },
    () => pagesOf(tenant, `${DELIVERIES}?status=failed&endpoint=whe_3`),
  );
  expect(arrived).toBe(true);
  expect(pages.flat().map(({ id }) => id)).toEqual([idOf(hidden)]);
});

test("a page of deliveries reads a bounded number of rows among 50,000, and writes none", async () => {
  const tenant = await newOrganisation();
  await storeDeliveries(tenant, 50_000);
  const { body } = await call("GET", `${DELIVERIES}?limit=5`, { key: tenant.key });
  const read = async (query: string) => {
    const rows = await rowsOf(() => call("GET", `${DELIVERIES}?${query}`, { key: tenant.key }));
    expect(rows.d1Written).toBe(0);
    return rows.d1Read;
  };
  const page = (limit: number) => 3 * (limit + 1);
  expect(await read("")).toBeLessThanOrEqual(page(30));
  expect(await read(`limit=100&cursor=${body.next_cursor}`)).toBeLessThanOrEqual(page(100));
  const scanned = 2 * SCANNED_ROWS + 1;
  for (const query of ["status=pending", "endpoint=whe_2", "event_type=key.*"]) {
    expect(await read(query), query).toBeLessThanOrEqual(scanned + page(30));
  }
  // What did not arrive has an index: only that is looked at, in the index and then in the row.
  for (const query of ["status=failed", "status=discarded", "status=failed&endpoint=whe_2"]) {
    expect(await read(query), query).toBeLessThanOrEqual(3 * 500 + page(30));
  }
  // Those of one event are a range of the key.
  expect(await read(`event=${eventOf(7)}`)).toBeLessThanOrEqual(3);
  const one = await rowsOf(() =>
    call("GET", `${DELIVERIES}/${body.data[0].id}`, { key: tenant.key }),
  );
  expect(one).toMatchObject({ d1Read: 1, d1Written: 0 });
});
