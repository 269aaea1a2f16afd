/** A page of sessions costs a page, at 100,000 sessions, with every filter alone and in pairs. */
import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import { rowsOf } from "../../support/rows";
import { type Broker, idsOf, list, newBroker } from "../../support/source-sessions";

const COUNT = 100_000;
/** When the first was made; each was made a second after the one before. */
const FIRST = Date.UTC(2026, 0, 1);
/** Index entries that may be read to find out which filter is narrow. */
const PROBE = 1_001;

/** Sessions that live at any moment: a bound on when they expired is not one on when they were made. */
const LIVING = 1_800;

interface Made {
  i: number;
  key: number;
  user: number;
  source: number;
  state: string;
  createdAt: number;
  endedAt: number | null;
}

/**
 * Session number `i`. Key 3 and user 3 are rare and old, and have no session in common with the others
 * of their kind; user 1 has the older half, user 2 the newer; failures are one in 500.
 */
function made(i: number): Made {
  const state = i % 10 === 0 ? "active" : i % 500 === 7 ? "failed" : "expired";
  const createdAt = FIRST + i * 1_000;
  return {
    i,
    key: i < 200 ? 3 : 1 + (i % 2),
    user: i >= 300 && i < 350 ? 3 : i < COUNT / 2 ? 1 : 2,
    source: i % 1_000,
    state,
    createdAt,
    endedAt: state === "active" ? null : createdAt + 1_800_000,
  };
}

let broker: Broker;
const all = Array.from({ length: COUNT }, (_, n) => made(COUNT - 1 - n));

beforeAll(async () => {
  broker = await newBroker();
  // The same rule as `made`, in SQL: a hundred thousand rows are quicker made where they stay.
  await env.DB.prepare(
    `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
       sweep_at, state, key_id, user_id, source_id)
     with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${COUNT}),
     s as (select i, ${FIRST} + i * 1000 as created_at,
         case when i % 10 = 0 then 'active' when i % 500 = 7 then 'failed' else 'expired' end as status,
         case when i < 200 then 3 else 1 + i % 2 end as key_id,
         case when i >= 300 and i < 350 then 3 when i < ${COUNT / 2} then 1 else 2 end as user_id,
         i % 1000 as source_id from n)
     select ?1, 'source', case status when 'active' then 0 when 'expired' then 1 else 2 end, created_at,
       printf('ses_%022d', i), case status when 'active' then null else created_at + 1800000 end, 3, 3, null,
       json_object('id', printf('ses_%022d', i), 'kind', 'source', 'organisationId', ?1, 'keyId', key_id,
         'status', status, 'createdAt', created_at, 'expiresAt', 9000000000000,
         'endedAt', created_at + 1800000, 'error', 'invalid-credentials', 'reason', 'api',
         'source', json_object('userId', user_id, 'sourceId', source_id, 'type', 'mocks.mock',
           'identifier', 'jo', 'sourceState', 'active', 'sourceCreatedAt', 0)),
       key_id, user_id, source_id from s`,
  )
    .bind(broker.id)
    .run();
}, 120_000);

const date = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
const middle = FIRST + (COUNT / 2) * 1_000;

type Filter = [query: string, fits: (session: Made) => boolean];

const filters: Filter[] = [
  ["key=1", ({ key }) => key === 1],
  ["key=3", ({ key }) => key === 3],
  ["key=99", () => false],
  ["user=1", ({ user }) => user === 1],
  ["user=3", ({ user }) => user === 3],
  ["source=999", ({ source }) => source === 999],
  ["state=pending", () => false],
  ["state=active", ({ state }) => state === "active"],
  ["state=failed", ({ state }) => state === "failed"],
  ["state=expired", ({ state }) => state === "expired"],
  [`date_created=${date(middle)}`, ({ createdAt }) => createdAt === middle],
  [`date_created[lt]=${date(middle)}`, ({ createdAt }) => createdAt < middle],
  [`date_created[gte]=${date(middle)}`, ({ createdAt }) => createdAt >= middle],
  [
    `date_expired=${date(middle + 1_000)}`,
    ({ state, endedAt }) => state === "expired" && endedAt === middle + 1_000,
  ],
  [
    `date_expired[lte]=${date(middle)}`,
    ({ state, endedAt }) => state === "expired" && (endedAt ?? 0) <= middle,
  ],
  [
    `date_expired[gt]=${date(middle)}`,
    ({ state, endedAt }) => state === "expired" && (endedAt ?? 0) > middle,
  ],
];

async function cost(query: string): Promise<{ numbers: number[]; read: number }> {
  let numbers: number[] = [];
  const rows = await rowsOf(async () => {
    const page = await list(broker, query);
    expect(page.status, page.text).toBe(200);
    numbers = idsOf(page).map((id) => Number(String(id).slice(4)));
  });
  expect(rows.d1Written + rows.objectWritten, `${query} writes nothing`).toBe(0);
  return { numbers, read: rows.d1Read };
}

function expected(...fits: Filter[1][]): number[] {
  const found: number[] = [];
  for (const session of all) {
    if (fits.every((isFit) => isFit(session))) found.push(session.i);
    if (found.length === 10) break;
  }
  return found;
}

/** Rows of a page: from each way of having ended one page and one more, and what the union reads. */
const PAGE = 100;

test("the whole list", async () => {
  const { numbers, read } = await cost("");
  expect(numbers).toEqual(expected(() => true));
  expect(read).toBeLessThanOrEqual(PAGE);
});

test.each(filters)("%s", async (query, fits) => {
  const { numbers, read } = await cost(query);
  expect(numbers).toEqual(expected(fits));
  expect(read).toBeLessThanOrEqual(query.startsWith("date_expired") ? PROBE + LIVING + PAGE : PAGE);
});

test("every pair", async () => {
  const worst: Record<string, number> = {};
  for (const [n, [one, fitsOne]] of filters.entries()) {
    for (const [two, fitsTwo] of filters.slice(n + 1)) {
      if (one.split(/[[=]/)[0] === two.split(/[[=]/)[0]) continue;
      const { numbers, read } = await cost(`${one}&${two}`);
      expect(numbers, `${one}&${two}`).toEqual(expected(fitsOne, fitsTwo));
      worst[`${one}&${two}`] = read;
    }
  }
  const dear = Object.entries(worst).filter(([, read]) => read > 2 * PROBE + LIVING + PAGE);
  expect(dear).toEqual([]);
}, 120_000);
