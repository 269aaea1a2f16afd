/**
 * A page by number costs a page, however long the list is and however deep the page: the next one after a page
 * that was read, and the last ones.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { call, newOrganisation, type Tenant } from "../support/client";
import { rowsOf } from "../support/rows";
import { create, list } from "../support/sessions";

const NUMBERS = "with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1)";
const LIMIT = 30;

/** An organisation with so many live sessions, made one after another, and as many connections. */
async function filled(count: number): Promise<Tenant> {
  const tenant = await newOrganisation();
  await create(tenant.key);
  const { state } = (await env.DB.prepare("select state from sessions where organisation_id = ?")
    .bind(tenant.id)
    .first<{ state: string }>()) ?? { state: "" };
  await env.DB.batch([
    env.DB.prepare("delete from sessions where organisation_id = ?").bind(tenant.id),
    env.DB.prepare(
      `insert into sessions (organisation_id, kind, ended, created_at, id, version, announced, sweep_at,
         state) ${NUMBERS} select ?2, 'relay', 0, i, printf('%012x-S', i), 1, 1, 9000000000000,
         json_set(?3, '$.id', printf('%012x-S', i), '$.createdAt', i) from n`,
    ).bind(count, tenant.id, state),
    env.DB.prepare("update session_counts set live = ? where organisation_id = ?").bind(
      count,
      tenant.id,
    ),
    env.DB.prepare(
      `insert into connections ${NUMBERS} select ?2, printf('c%06d', i), '' from n`,
    ).bind(count, tenant.id),
    env.DB.prepare("insert into connection_counts values (?, ?)").bind(tenant.id, count),
  ]);
  return tenant;
}

/** The ids of a page, and how many rows of D1 were read for it. */
async function sessionsAt({ key }: Tenant, page: number) {
  let ids: string[] = [];
  const rows = await rowsOf(async () => {
    const { body } = await list(key, `?limit=${LIMIT}&page=${page}`);
    ids = body.sessions.map((one: { session_id: string }) => one.session_id);
  });
  return { ids, read: rows.d1Read };
}

async function connectionsAt({ key }: Tenant, page: number) {
  let ids: string[] = [];
  const rows = await rowsOf(async () => {
    const query = `maxResults=${LIMIT}&startIndex=${(page - 1) * LIMIT}`;
    const { body } = await call("GET", `/connections/definition?${query}`, { key });
    ids = body.definitions.map((one: { connectionId: string }) => one.connectionId);
  });
  return { ids, read: rows.d1Read };
}

describe.each([3_000, 30_000])("in lists of %i rows", (count) => {
  let tenant: Tenant;
  const pages = count / LIMIT;
  /** The ids of a page, as the numbers of its rows are. */
  const expected = (page: number, form: (i: number) => string, isNewestFirst: boolean) =>
    Array.from({ length: LIMIT }, (_, i) => {
      const place = (page - 1) * LIMIT + i;
      return form(isNewestFirst ? count - place : place + 1);
    });
  const session = (i: number) => `${i.toString(16).padStart(12, "0")}-S`;
  const connection = (i: number) => `c${String(i).padStart(6, "0")}`;

  beforeAll(async () => {
    tenant = await filled(count);
    await list(tenant.key);
  });

  test("the pages one after another cost a page each, and so do the last ones", async () => {
    const middle = Math.floor(pages / 2);
    for (const [read, form, newest] of [
      [sessionsAt, session, true],
      [connectionsAt, connection, false],
    ] as const) {
      expect((await read(tenant, middle)).ids).toEqual(expected(middle, form, newest));
      for (const page of [middle + 1, middle + 2, pages - 1, pages]) {
        const found = await read(tenant, page);
        expect(found.ids).toEqual(expected(page, form, newest));
        // Two of the count; from the end, the page behind it is skipped.
        expect(found.read).toBeLessThanOrEqual(2 * LIMIT + 3);
      }
      const behind = await read(tenant, pages + 1);
      expect(behind.ids).toEqual([]);
      expect(behind.read).toBeLessThanOrEqual(3);
    }
  });

  test("the first pages cost what is before them, and are what they are at that moment", async () => {
    await sessionsAt(tenant, 1);
    const second = await sessionsAt(tenant, 2);
    expect(second.read).toBe(2 * LIMIT + 1);
    expect(second.ids).toEqual(expected(2, session, true));
  });
});

describe("in a list of more than a million rows", () => {
  let tenant: Tenant;

  beforeAll(async () => {
    // No list is that long here: only their counts say so.
    tenant = await filled(60);
    await env.DB.batch([
      env.DB.prepare("update session_counts set live = 1000300 where organisation_id = ?").bind(
        tenant.id,
      ),
      env.DB.prepare(
        "update connection_counts set registered = 1000300 where organisation_id = ?",
      ).bind(tenant.id),
    ]);
  });

  test.each([
    ["/v1/relays/sessions?limit=100&page=5002", 400],
    ["/v1/relays/sessions?limit=100&page=5001", 200],
    ["/connections/definition?maxResults=100&startIndex=500100", 400],
    ["/connections/definition?maxResults=100&startIndex=500000", 200],
    ["/connections/definition?maxResults=100&startIndex=500001&after=c000001", 400],
  ])("a page that is too far from both ends is refused: %s", async (path, status) => {
    const answer = await call("GET", path, { key: tenant.key });
    expect(answer.status).toBe(status);
    if (status === 400) {
      expect(answer.body.code).toBe("page-too-deep");
      expect(answer.body.message ?? answer.body.detail).toContain("500000");
    }
  });
});

test("whoever goes through a long list sees each session once, while others begin", async () => {
  const tenant = await filled(2_000);
  const seen: string[] = [];
  const first = Math.ceil(1_000 / LIMIT) + 2;
  for (let page = first; page < first + 10; page++) {
    seen.push(...(await sessionsAt(tenant, page)).ids);
    await create(tenant.key);
  }
  expect(seen).toHaveLength(10 * LIMIT);
  expect(new Set(seen).size).toBe(seen.length);
});
