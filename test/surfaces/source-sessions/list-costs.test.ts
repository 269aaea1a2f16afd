/** A page of sessions costs one page at 100,000 sessions, with every filter alone and in pairs. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/open";
import { SCANNED_ROWS } from "../../../src/db/scan";
import {
  listSourceSessions,
  type Position,
  type SessionFilter,
  type SessionPage,
} from "../../../src/sources/source-session-list";
import type { Answer } from "../../support/client";
import { rowsOf } from "../../support/rows";
import { type Broker, idsOf, list, newBroker, objectOf } from "../../support/source-sessions";

const COUNT = 100_000;
/** When the first session was created; each later one was created a second after the one before. */
const FIRST = Date.UTC(2026, 0, 1);

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
 * Session number `i`. Key 3 and user 3 are rare and old, and have no session in common with the
 * others of their kind. User 1 has the older half, user 2 most of the newer; failures are one in
 * 500. Key 4 and user 4 have thousands of sessions each, and 40 in common. A session lives for half
 * an hour; one of key 4 lives for longer than the rows that a page may read.
 */
function made(i: number): Made {
  const state = i % 10 === 0 ? "active" : i % 500 === 7 ? "failed" : "expired";
  const createdAt = FIRST + i * 1_000;
  const ofUser4 = i >= 70_000 && i < 80_000;
  const ofKey4 = ofUser4 ? [0, 1, 2, 7].includes(i % 1_000) : i >= 60_000 && i < 70_000;
  const user = i >= 300 && i < 350 ? 3 : i < COUNT / 2 ? 1 : ofUser4 ? 4 : 2;
  return {
    i,
    key: ofKey4 ? 4 : i < 200 ? 3 : 1 + (i % 2),
    user,
    // A source belongs to one user.
    source: user * 1_000 + (i % 500),
    state,
    createdAt,
    endedAt: state === "active" ? null : createdAt + (ofKey4 ? 5_000_000 : 1_800_000),
  };
}

let broker: Broker;
const all = Array.from({ length: COUNT }, (_, n) => made(COUNT - 1 - n));

beforeAll(async () => {
  broker = await newBroker();
  // The same rule as `made`, in SQL: 100,000 rows are made faster inside the database.
  await env.DB.prepare(
    `insert into sessions (organisation_id, kind, ended, created_at, id, ended_at, version, announced,
       sweep_at, state, key_id, user_id, source_id)
     with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${COUNT}),
     u as (select i, case when i >= 300 and i < 350 then 3 when i < ${COUNT / 2} then 1
         when i >= 70000 and i < 80000 then 4 else 2 end as user_id from n),
     k as (select *, case when user_id = 4 then i % 1000 in (0, 1, 2, 7) else i >= 60000 and i < 70000 end
         as of_key_4 from u),
     s as (select i, ${FIRST} + i * 1000 as created_at, user_id, user_id * 1000 + i % 500 as source_id,
         case when i % 10 = 0 then 'active' when i % 500 = 7 then 'failed' else 'expired' end as status,
         case when of_key_4 then 4 when i < 200 then 3 else 1 + i % 2 end as key_id,
         ${FIRST} + i * 1000 + case when of_key_4 then 5000000 else 1800000 end as ended_at from k)
     select ?1, 'source', case status when 'active' then 0 when 'expired' then 1 else 2 end, created_at,
       printf('ses_%022d', i), case status when 'active' then null else ended_at end, 3, 3, null,
       json_object('id', printf('ses_%022d', i), 'kind', 'source', 'organisationId', ?1, 'keyId', key_id,
         'status', status, 'createdAt', created_at, 'expiresAt', 9000000000000,
         'endedAt', ended_at, 'error', 'invalid-credentials', 'reason', 'api',
         'source', json_object('userId', user_id, 'sourceId', source_id, 'type', 'mocks.mock',
           'identifier', 'jo', 'sourceState', 'active', 'sourceCreatedAt', 0)),
       key_id, user_id, source_id from s`,
  )
    .bind(broker.id)
    .run();
  await env.DB.prepare(
    `insert into sources (organisation_id, id, user_id, type, identifier, state, state_at, created_at)
     select distinct ?1, source_id, user_id, 'mocks.mock', source_id, 'active', 0, 0 from sessions
     where organisation_id = ?1`,
  )
    .bind(broker.id)
    .run();
}, 300_000);

const date = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
const middle = FIRST + (COUNT / 2) * 1_000;
/** While thousands of sessions live that were created before. */
const crowded = FIRST + 65_000_000;

type Filter = [query: string, fits: (session: Made) => boolean];

const filters: Filter[] = [
  ["key=1", ({ key }) => key === 1],
  ["key=3", ({ key }) => key === 3],
  ["key=4", ({ key }) => key === 4],
  ["key=99", () => false],
  ["user=1", ({ user }) => user === 1],
  ["user=3", ({ user }) => user === 3],
  ["user=4", ({ user }) => user === 4],
  ["source=1499", ({ source }) => source === 1_499],
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
    `date_expired[lte]=${date(crowded)}`,
    ({ state, endedAt }) => state === "expired" && (endedAt ?? 0) <= crowded,
  ],
  [
    `date_expired[gt]=${date(middle)}`,
    ({ state, endedAt }) => state === "expired" && (endedAt ?? 0) > middle,
  ],
];

/** What a page shows, how many rows it read, and where it says that the next page begins. */
async function pageOf(query: string) {
  let page: Answer | undefined;
  const rows = await rowsOf(async () => {
    page = await list(broker, query);
  });
  if (page?.status !== 200) throw new Error(`${query}: ${page?.text}`);
  expect(rows.d1Written + rows.objectWritten, `${query} writes nothing`).toBe(0);
  const numbers = idsOf(page).map((id) => Number(String(id).slice(4)));
  const { has_more: hasMore, next_after_id: next } = page.body;
  return { numbers, read: rows.d1Read, hasMore, next: next as string | undefined };
}

function expected(...fits: Filter[1][]): number[] {
  return all.filter((session) => fits.every((isFit) => isFit(session))).map(({ i }) => i);
}

const idOf = (i: number) => `ses_${String(i).padStart(22, "0")}`;

/**
 * Gives a session its object, which its row alone does not have: cursors ask the object for its
 * place.
 */
async function giveObject(i: number): Promise<void> {
  const row = await env.DB.prepare("select state from sessions where created_at = ? and id = ?")
    .bind(made(i).createdAt, idOf(i))
    .first<{ state: string }>();
  const state = { ...JSON.parse(row?.state ?? "{}"), version: 3, users: [], nextUser: 0 };
  const log = { v: 1, base: { ...state, idleSeconds: 86_400 }, events: [], retry: null };
  await runInDurableObject(objectOf(idOf(i)), (_, { storage }) => storage.kv.put("session", log));
  await evictDurableObject(objectOf(idOf(i)));
}

/** The page of a query; it is full or says that it ended early, and leaves nothing out. */
async function checked(query: string, ...fits: Filter[1][]) {
  const page = await pageOf(query);
  const wanted = expected(...fits);
  const isShort = page.next !== undefined;
  if (isShort) expect(page.numbers.length, query).toBeLessThanOrEqual(10);
  else expect(page.numbers.length, query).toBe(Math.min(10, wanted.length));
  expect(page.numbers, query).toEqual(wanted.slice(0, page.numbers.length));
  expect(page.hasMore, query).toBe(isShort || wanted.length > 10);
  return { read: page.read, isShort };
}

/** Rows of a page: from each way of having ended one page and one more, and their sources. */
const PAGE = 100;
/** Index entries that are read to find out whether a filter is narrow. */
const PROBE = 1_001;
/**
 * Sessions that live at any moment: a bound on when they expired is not one on when they were
 * created.
 */
const LIVING = 1_800;
/**
 * Rows of one session that is looked at and not shown: its index entry, itself, and the end of the
 * scan.
 */
const IN_VAIN = 3;

/** The most rows that any query may read: to find the narrow filter, and from so many ranges. */
const mostOf = (filters: number, ranges: number) =>
  PAGE + filters * PROBE + ranges * SCANNED_ROWS * IN_VAIN;

/**
 * The queries of these tests that have so few matches among so many rows that a page ends early.
 */
const SPARSE = [
  ["user=1", "key=4"],
  ["user=4", "key=4"],
  [`date_expired[lte]=${date(crowded)}`, ""],
  [`date_expired[lte]=${date(crowded)}`, "key=4"],
  [`date_expired[lte]=${date(crowded)}`, "state=expired"],
  [`date_expired[lte]=${date(crowded)}`, `date_created[gte]=${date(middle)}`],
].map((queries) => queries.sort().join("&"));

test("the list of source sessions without a filter costs one page among 100,000", async () => {
  const { read } = await checked("", () => true);
  expect(read).toBeLessThanOrEqual(PAGE);
});

test.each(filters)(
  "the list of source sessions with %s costs one page among 100,000",
  async (query, fits) => {
    const { read, isShort } = await checked(query, fits);
    expect(isShort).toBe(SPARSE.includes(`&${query}`));
    const byEnd = isShort ? mostOf(1, 1) : PROBE + LIVING + PAGE;
    expect(read).toBeLessThanOrEqual(query.startsWith("date_expired") ? byEnd : PAGE);
  },
);

test("the list of source sessions with every pair of filters costs one page among 100,000", async () => {
  const dear: string[] = [];
  const short: string[] = [];
  for (const [n, [one, fitsOne]] of filters.entries()) {
    for (const [two, fitsTwo] of filters.slice(n + 1)) {
      if (one.split(/[[=]/)[0] === two.split(/[[=]/)[0]) continue;
      const query = `${one}&${two}`;
      const { read, isShort } = await checked(query, fitsOne, fitsTwo);
      if (isShort) short.push([one, two].sort().join("&"));
      const isByEnd = query.includes("date_expired");
      const most = isShort ? mostOf(2, isByEnd ? 1 : 3) : 2 * PROBE + LIVING + PAGE;
      if (read > most) dear.push(`${query}: ${read}`);
    }
  }
  expect(dear).toEqual([]);
  expect(short.sort()).toEqual(SPARSE.filter((query) => !query.startsWith("&")).sort());
}, 300_000);

test("a user and a source are found in one lookup, however many sessions both have", async () => {
  const query = "user=1&source=4001";
  const { read } = await checked(query, () => false);
  expect(read).toBeLessThanOrEqual(5);
  const theirs = await checked("user=4&source=4001", ({ source }) => source === 4_001);
  expect(theirs.read).toBeLessThanOrEqual(PAGE);
});

describe("the pages behind one that ended early", () => {
  /** All that a list shows, as a client reads it that follows every page. */
  async function walk(filter: Partial<SessionFilter>) {
    const found: number[] = [];
    let after: Position | null = null;
    let pages = 0;
    for (let hasMore = true; hasMore && pages < 50; pages++) {
      const page: SessionPage = await listSourceSessions(openDatabase(env), {
        organisationId: broker.id,
        filter: { ...ANY, ...filter },
        after,
        before: null,
        limit: 10,
        now: Date.now(),
      });
      found.push(...page.rows.map(({ id }) => Number(id.slice(4))));
      hasMore = page.hasMore;
      after = page.stoppedAt ?? page.rows.at(-1) ?? null;
    }
    return { found, pages };
  }
  const ANY: SessionFilter = {
    keyId: null,
    userId: null,
    sourceId: null,
    states: [],
    created: { from: null, until: null },
    expired: { from: null, until: null },
  };

  test("leave nothing out and show nothing twice, for all ways of having ended", async () => {
    const { found, pages } = await walk({ keyId: 4, userId: 4 });
    const both = expected(({ key, user }) => key === 4 && user === 4);
    expect(new Set(both.map((i) => made(i).state)).size).toBe(3);
    expect(found).toEqual(both);
    expect(pages).toBeLessThan(12);
  });

  test("come to an end where nothing matches at all", async () => {
    const { found, pages } = await walk({ keyId: 4, userId: 1 });
    expect(found).toEqual([]);
    expect(pages).toBeGreaterThan(10);
    expect(pages).toBeLessThan(30);
  });

  test("begin at next_after_id over HTTP, though that session does not match", async () => {
    const first = await pageOf("key=4&user=4");
    const next = Number(first.next?.slice(4));
    expect([made(next).key, made(next).user]).not.toEqual([4, 4]);
    await giveObject(next);
    const second = await pageOf(`key=4&user=4&after_id=${first.next}`);
    const both = expected(({ key, user }) => key === 4 && user === 4);
    expect([...first.numbers, ...second.numbers]).toEqual(
      both.slice(0, first.numbers.length + second.numbers.length),
    );
    expect(second.numbers.length).toBeGreaterThan(0);
  });
});

test("cursors in both directions cost one page in the middle of the list, under every filter", async () => {
  const [newer, older] = [made(COUNT / 2 + 40), made(COUNT / 2 - 40)];
  for (const { i } of [newer, older]) await giveObject(i);
  const between = ({ i }: Made) => i < newer.i && i > older.i;
  for (const [query, fits] of [["", () => true] as const, ...filters]) {
    const at = `${query}&after_id=${idOf(newer.i)}`;
    const behind = await checked(at, fits, ({ i }) => i < newer.i);
    const stretch = await checked(`${at}&before_id=${idOf(older.i)}`, fits, between);
    const isByEnd = query.startsWith("date_expired");
    for (const { read } of [behind, stretch]) {
      expect(read, at).toBeLessThanOrEqual(isByEnd ? PROBE + LIVING + PAGE : PAGE);
    }
  }
});

test("all filters and both cursors fit into one query", async () => {
  const [newer, older] = [made(90_001), made(51_000)];
  for (const { i } of [newer, older]) await giveObject(i);
  const { key, user, source } = made(60_501 + 20_000);
  const states = ["active", "failed", "expired"];
  const created = [date(FIRST + 55_000_000), date(FIRST + 85_000_000)];
  const query = [
    `key=${key}&user=${user}&source=${source}`,
    ...states.map((state) => `state=${state}`),
    `date_created[gte]=${created[0]}&date_created[lt]=${created[1]}`,
    `after_id=${idOf(newer.i)}&before_id=${idOf(older.i)}`,
  ].join("&");
  const { read, isShort } = await checked(
    query,
    (session) => session.key === key && session.source === source,
    ({ i }) => i >= 55_000 && i < 85_000,
  );
  expect(isShort).toBe(false);
  expect(read).toBeLessThanOrEqual(2 * PROBE + PAGE);
});
