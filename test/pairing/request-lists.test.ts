/**
 * The lists of pairing requests: that of all applications of an organisation has the same requests as the
 * lists of its applications together, in the order of time, and costs no more.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Answer, call, newOrganisation, type Tenant } from "../support/client";
import { moveClock, stopClock } from "../support/clock";
import {
  decide,
  eventsSent,
  newApplication,
  newDevice,
  newKey,
  request,
  type TestApplication,
} from "../support/devices";
import { rowsOf } from "../support/rows";
import { runSweep } from "../support/sweep";

const ALL = "/v1/pairing/requests";
const STATUSES = ["pending", "approved", "rejected", "expired", "superseded"];

afterEach(() => {
  vi.useRealTimers();
});

type Shown = { pair_request_id: string; application_id: string; status: string };

const list = (path: string, key: string, query = ""): Promise<Answer> =>
  call("GET", `${path}${query}`, { key });

const shownIn = async (path: string, key: string, query = ""): Promise<Shown[]> =>
  (await list(path, key, query)).body.data;

const idsOf = (shown: readonly Shown[]) => shown.map(({ pair_request_id }) => pair_request_id);

/** All rows of a list, read in pages of this size, and how long each page was. */
async function inPages(path: string, key: string, query: string, limit: number) {
  const rows: Shown[] = [];
  const sizes: number[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await list(path, key, `?limit=${limit}${query}${cursor}`);
    rows.push(...body.data);
    sizes.push(body.data.length);
    if (body.next_cursor === null) return { rows, sizes };
    cursor = `&cursor=${body.next_cursor}`;
  }
}

/**
 * Two applications of one organisation, with requests that alternate between them: one of each status, and
 * one whose time is over without a sweep. The clock stands still afterwards.
 */
async function everyStatus(): Promise<{ first: TestApplication; second: TestApplication }> {
  const first = await newApplication();
  const second = await newApplication(first);
  stopClock();
  /** One after the other, so that ids sort in this order. */
  const asked = async (at: TestApplication, device = newDevice(), scopes: string[] = []) => {
    moveClock(1);
    return request(at, await device, { scopes });
  };
  await asked(first);
  await asked(second);
  moveClock(400_000);
  await runSweep();
  await decide(first, (await asked(first)).id, "approve");
  await decide(second, (await asked(second)).id, "reject");
  const greedy = newDevice();
  await asked(first, greedy, ["operator.read"]);
  await asked(first, greedy, ["operator.write"]);
  const patient = newDevice();
  await asked(second, patient);
  await asked(second);
  await asked(first);
  // The request of the patient device goes on. Newer ones are over, and no sweep has been there since.
  moveClock(250_000);
  await request(second, await patient, { scopes: [] });
  moveClock(100_000);
  await asked(first);
  return { first, second };
}

describe("the pairing requests of all applications", () => {
  test("are those of each application together, newest first, whatever the status and the size of a page", async () => {
    const { first, second } = await everyStatus();
    const { key } = first;
    const whole = async (query: string) => {
      const lists = await Promise.all(
        [first, second].map((at) => shownIn(`${at.path}/pairing/requests`, key, query)),
      );
      return lists.flat().sort((a, b) => (a.pair_request_id < b.pair_request_id ? 1 : -1));
    };
    const counts = new Map<string, number>();
    for (const status of [null, ...STATUSES]) {
      const query = status === null ? "" : `&status=${status}`;
      const expected = await whole(`?limit=100${query}`);
      if (status) counts.set(status, expected.length);
      for (const limit of [1, 2, 3, 100]) {
        const { rows, sizes } = await inPages(ALL, key, query, limit);
        expect(rows).toEqual(expected);
        // Only the last page is short.
        expect(sizes.slice(0, -1).every((size) => size === limit)).toBe(true);
      }
    }
    expect(Object.fromEntries(counts)).toEqual({
      pending: 2,
      approved: 1,
      rejected: 1,
      expired: 5,
      superseded: 1,
    });
  });

  test("are expired when their time is over, whether or not the sweep has recorded it", async () => {
    const at = await newApplication();
    stopClock();
    const { id } = await request(at, await newDevice());
    expect(idsOf(await shownIn(ALL, at.key, "?status=pending"))).toEqual([id]);
    expect(await shownIn(ALL, at.key, "?status=expired")).toEqual([]);
    moveClock(300_000);
    expect(await shownIn(ALL, at.key, "?status=pending")).toEqual([]);
    const before = await shownIn(ALL, at.key, "?status=expired");
    expect(before).toMatchObject([{ pair_request_id: id, status: "expired", decided_at: null }]);
    expect(await shownIn(ALL, at.key)).toEqual(before);
    await runSweep();
    const after = await shownIn(ALL, at.key, "?status=expired");
    expect(after).toMatchObject([{ pair_request_id: id, status: "expired" }]);
    expect(after[0]).not.toMatchObject({ decided_at: null });
  });

  test("are never those of another organisation", async () => {
    const [mine, other] = [await newApplication(), await newApplication()];
    const own = await request(mine, await newDevice());
    const { id } = await request(other, await newDevice());
    for (const query of ["", ...STATUSES.map((status) => `?status=${status}`)]) {
      expect(idsOf(await shownIn(ALL, mine.key, query))).not.toContain(id);
    }
    // A cursor of another organisation's list is only a place in the order of time.
    expect(idsOf(await shownIn(ALL, mine.key, `?cursor=${id}`))).toEqual([own.id]);
    expect(await shownIn(ALL, (await newOrganisation()).key)).toEqual([]);
  });

  test("are for those who hold devices:list", async () => {
    const at = await newApplication();
    const decider = await newKey(at, ["devices:approve"]);
    const refused = await list(ALL, decider);
    expect([refused.status, refused.body.code]).toEqual([403, "missing-permission"]);
    const reader = await newKey(at, ["devices:list"]);
    expect((await list(ALL, reader)).status).toBe(200);
  });

  test.each([
    ["status", "status=open"],
    ["limit", "limit=0"],
    ["limit", "limit=101"],
    ["cursor", "cursor=1"],
    ["application", "application=pa-5hkzi4sk2io9em"],
  ])("are refused with a wrong %s: ?%s", async (name, query) => {
    const { key } = await newOrganisation();
    const { status, body } = await list(ALL, key, `?${query}`);
    expect([status, body.code]).toEqual([400, "invalid-parameter"]);
    expect(body.detail).toContain(name);
  });
});

describe("an organisation with 1,000 applications, each with a request that has ended,", () => {
  const LIMIT = 50;

  /** Puts requests into the table as the Worker would, each in an application of its own. */
  async function insert(tenant: Tenant, status: string, count: number): Promise<void> {
    const at = await newApplication(tenant);
    const { id } = await request(at, await newDevice(), { silent: true });
    const name = (what: string) => `printf('${what}-%06d%08x', ?2, i * 10 + length(?3))`;
    const numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)";
    await env.DB.batch([
      env.DB.prepare(
        `insert into applications (id, organisation_id, name, created_at)
         ${numbers} select ${name("pa")}, ?2, ?3, i from n`,
      ).bind(count, tenant.id, status),
      env.DB.prepare(
        `insert into pairing_requests
         ${numbers}
         select ?3, ${name("pa")}, printf('pr-%08x-0000-7000-8000-%012d', i, ?2), ?2,
           printf('%064x', i), remote_ip, expires_at, null, asked, iif(?3 = 'pending', null, '{"at":1}'), expires_at
         from pairing_requests, n where id = ?4`,
      ).bind(count, tenant.id, status, id),
    ]);
  }

  test("reads for a page of the pending requests that page and not more", async () => {
    const [before, tenant, after] = [
      await newOrganisation(),
      await newOrganisation(),
      await newOrganisation(),
    ];
    for (const each of [before, tenant, after]) {
      await insert(each, "rejected", 1_000);
      await insert(each, "pending", 200);
    }
    await eventsSent();
    let cursor = "";
    for (let i = 0; i < 3; i++) {
      const rows = await rowsOf(async () => {
        const { body } = await list(ALL, tenant.key, `?status=pending&limit=${LIMIT}${cursor}`);
        expect(body.data).toHaveLength(LIMIT);
        cursor = `&cursor=${body.next_cursor}`;
      });
      // One more row says that the list goes on.
      expect(rows).toEqual({
        d1Read: LIMIT + 1,
        d1Written: 0,
        objectRead: 0,
        objectWritten: 0,
      });
    }
  });
});
