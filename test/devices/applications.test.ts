/** Applications are created, listed and read by their organisation. */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { call, newOrganisation, type Tenant } from "../support/client";
import { newApplication } from "../support/devices";
import { rowsOf } from "../support/rows";

afterEach(() => {
  vi.useRealTimers();
});

const list = (tenant: Tenant, query = "") =>
  call("GET", `/v1/applications?${query}`, { key: tenant.key });
const idsOf = (data: { id: string }[]) => data.map(({ id }) => id);

test("applications are listed newest first, page by page, with what their create answered", async () => {
  const start = Date.now();
  const tenant = await newOrganisation();
  const made: { id: string; name: string; created_at: string }[] = [];
  for (let i = 0; i < 5; i++) {
    // Two are made in each millisecond: neither may be lost between two pages.
    vi.useFakeTimers({ toFake: ["Date"], now: start + 1_000 * Math.floor(i / 2) });
    const { status, body } = await call("POST", "/v1/applications", {
      key: tenant.key,
      body: { name: `Gateway ${i}` },
    });
    expect(status).toBe(201);
    made.unshift(body);
  }
  const pages = [];
  for (let cursor = ""; ; ) {
    const { body } = await list(tenant, `limit=2${cursor}`);
    pages.push(body.data);
    if (body.next_cursor === null) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
  const listed = pages.flat();
  expect(listed.map(({ created_at }) => created_at)).toEqual(
    made.map(({ created_at }) => created_at),
  );
  expect(idsOf(listed).sort()).toEqual(idsOf(made).sort());
  for (const one of made) {
    const { status, body } = await call("GET", `/v1/applications/${one.id}`, { key: tenant.key });
    expect([status, body]).toEqual([200, one]);
    expect(listed).toContainEqual(one);
  }
});

test("an application is seen only by its own organisation", async () => {
  const [at, other] = [await newApplication(), await newOrganisation()];
  expect((await list(other)).body).toEqual({ data: [], next_cursor: null });
  const foreign = await call("GET", at.path, { key: other.key });
  expect([foreign.status, foreign.body.code]).toEqual([404, "application-not-found"]);
});

test.each(["cursor=x", "cursor=1.pa-", "limit=0", "limit=101", "name=x"])(
  "a list of applications with %s is refused, and the error names the parameter",
  async (query) => {
    const { status, body } = await list(await newOrganisation(), query);
    expect([status, body.code]).toEqual([400, "invalid-parameter"]);
  },
);

test("a page of applications costs the same anywhere among 10,000", async () => {
  const tenant = await newOrganisation();
  await env.DB.prepare(
    `insert into applications
     with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)
     select printf('pa-%014d', i), ?, 'Many', i from n`,
  )
    .bind(tenant.id)
    .run();
  let cursor = "";
  for (const first of [10_000, 9_970, 9_940]) {
    const rows = await rowsOf(async () => {
      const { body } = await list(tenant, `limit=30${cursor}`);
      expect(body.data[0].id).toBe(`pa-${String(first).padStart(14, "0")}`);
      cursor = `&cursor=${body.next_cursor}`;
    });
    // An index entry and a row for each, and one more that shows whether there is another page.
    expect(rows.d1Read).toBeLessThanOrEqual(2 * 31 + 4);
    expect(rows.d1Written).toBe(0);
  }
});
