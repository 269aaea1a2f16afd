/**
 * The sweep keeps up. One API key may make 3,000 calls in 10 s, so 18,000 rows a minute of any
 * kind, and each kind must be removed ten times as fast. The tests count queries, since D1 runs one
 * at a time: it can run 10,000 of them in a minute at most, and 1,000 in one invocation.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readConfig } from "../../src/platform/config";
import { sweep } from "../../src/sweep/sweep";
import { newOrganisation } from "../support/client";
import { stopClockAhead } from "../support/clock";
import { newApplication } from "../support/devices";
import { manyKeys } from "../support/keys";
import { consume, eventually } from "../support/pipeline";
import { d1CallsOf } from "../support/rows";
import { type Bindings, sweepThrough } from "../support/sweep";
import {
  countRows,
  insertDeadLetters,
  insertDeliveries,
  insertEvents,
  insertIdempotencyKeys,
  insertJoinCodes,
  insertNonces,
  insertOldJournals,
  insertOwedEvents,
  insertPairingRequests,
  insertRecoveries,
  insertSessionRows,
  insertSetupCodes,
  insertSignedOut,
} from "../support/sweepable-rows";

const DAY_MS = 86_400_000;
const retentionMs = readConfig(env).retentionDays * DAY_MS;
/** What one key can make in a minute. */
const A_MINUTE = 18_000;
/** Queries of D1 that an invocation may make (limits of D1, November 2026). */
const MAX_QUERIES = 1_000;

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

const count = (table: string) => env.DB.prepare(`select count(*) n from ${table}`).first("n");
const liveSessions = () => env.DB.prepare("select total(live) n from session_counts").first("n");
const old = () => Date.now() - retentionMs - 1_000;

/** Objects that hold nothing: thousands of real ones would take minutes here. */
const emptyObjects = {
  getByName: () => ({
    purge: async () => {},
    purgeEnded: async () => true,
    reconcile: async () => false,
  }),
};

/** Runs the sweep; how many queries each invocation made. */
async function queriesOfRun(bindings?: Bindings): Promise<number[]> {
  const queries: number[] = [];
  const count = async (invocation: () => Promise<void>) => {
    queries.push((await d1CallsOf(invocation)).length);
  };
  await sweepThrough(count, bindings);
  return queries;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

describe("one run of the sweep removes what one key makes in a minute,", () => {
  test.each<[string, (id: number) => Promise<unknown>]>([
    ["idempotency_keys", (id) => insertIdempotencyKeys(id, A_MINUTE, Date.now() - DAY_MS - 1)],
    ["used_nonces", (id) => insertNonces(`access-key/${id}`, A_MINUTE, Date.now() - 1_800_000)],
    ["join_codes", (id) => insertJoinCodes(id, A_MINUTE, Date.now() - 1)],
    ["signed_out_tokens", (id) => insertSignedOut(id, A_MINUTE, Date.now() - 1)],
    ["setup_codes", (id) => insertSetupCodes(id, A_MINUTE, Date.now() - 1)],
    ["dead_letters", () => insertDeadLetters(A_MINUTE, old(), "<old>")],
    ["webhook_recoveries", (id) => insertRecoveries(id, A_MINUTE, old())],
  ])(
    "%s: in so few queries that ten times as many take a fraction of a minute",
    async (table, insert) => {
      const tenant = await newOrganisation();
      const idle = sum(await queriesOfRun());
      const before = Number(await count(table));
      await insert(tenant.id);
      expect(await count(table)).toBe(before + A_MINUTE);
      const queries = await queriesOfRun();
      expect(await count(table)).toBe(before);
      expect(10 * (sum(queries) - idle)).toBeLessThanOrEqual(400);
      expect(Math.max(...queries)).toBeLessThanOrEqual(100);
    },
  );

  test("also of pairing requests that have ended, of one application", async () => {
    const at = await newApplication();
    const requests = { count: A_MINUTE, at: old(), status: "approved" };
    await insertPairingRequests(at, requests);
    const queries = await queriesOfRun();
    expect(await count("pairing_requests")).toBe(0);
    expect(sum(queries)).toBeLessThanOrEqual(60);
  });

  test("and what it made in ten minutes while the sweep was off: idempotency keys", async () => {
    const tenant = await newOrganisation();
    await insertIdempotencyKeys(tenant.id, 10 * A_MINUTE, Date.now() - DAY_MS - 1);
    const queries = await queriesOfRun();
    expect(await count("idempotency_keys")).toBe(0);
    expect(Math.max(...queries)).toBeLessThanOrEqual(100);
  });

  test("and its keys, when it was deleted: a query for each 2,000", async () => {
    const tenant = await newOrganisation();
    await manyKeys(tenant, A_MINUTE);
    const idle = sum(await queriesOfRun());
    await env.DB.prepare("update organisations set deleted_at = ? where id = ?")
      .bind(Date.now(), tenant.id)
      .run();
    const queries = await queriesOfRun();
    expect(await countRows("organisation_keys", tenant.id)).toBe(0);
    const withoutKeys = sum(await queriesOfRun());
    await env.DB.prepare("delete from organisations where id = ?").bind(tenant.id).run();
    expect(sum(queries) - withoutKeys).toBe(9);
    expect(withoutKeys - idle).toBeLessThanOrEqual(40);
    expect(Math.max(...queries)).toBeLessThanOrEqual(100);
  });

  test("and its journal, however much is in it: a query to find it, and one to forget it", async () => {
    const tenant = await newOrganisation();
    const idle = sum(await queriesOfRun());
    await insertDeliveries(tenant.id, 3_000, old() - DAY_MS);
    const queries = await queriesOfRun();
    expect(await countRows("events", tenant.id)).toBe(0);
    expect(sum(queries) - idle).toBe(1);
  });

  test("and all journals of a day that is over, each once, beyond any number that a step finds", async () => {
    const tenant = await newOrganisation();
    const idle = sum(await queriesOfRun());
    // Of one organisation with 64 a day, and of those around it.
    await insertOldJournals(tenant.id, 2_150, old() - DAY_MS);
    const dropped: string[] = [];
    const getByName = (name: string) => ({ drop: async () => void dropped.push(name) });
    const queries = await queriesOfRun({ JOURNALS: { getByName } });
    expect(await count("journals")).toBe(0);
    expect([dropped.length, new Set(dropped).size]).toEqual([2_150, 2_150]);
    // Three pages, of which an idle run reads one; and one to forget each hundred.
    expect(sum(queries) - idle).toBeLessThanOrEqual(2 + 22);
  });

  test("and has all owed events recorded", async () => {
    const tenant = await newOrganisation();
    await insertOwedEvents(tenant.id, 2_000, Date.now() - 120_000);
    const queries = await queriesOfRun();
    expect(await count("owed_events")).toBe(0);
    expect(await countRows("events", tenant.id)).toBe(2_000);
    // Two for each page of 480; a minute's rows are 38 pages.
    expect(sum(queries)).toBeLessThanOrEqual(40);
  });
});

describe("one run of the sweep over sessions", () => {
  test("removes those that ended a hundred at a time, beyond any number that a run reads", async () => {
    const tenant = await newOrganisation();
    await insertSessionRows(tenant.id, 2_150, { endedAt: Date.now() - 21 * 60_000 });
    const queries = await queriesOfRun({ SESSIONS: emptyObjects });
    expect(await countRows("sessions", tenant.id)).toBe(0);
    // Five ranges, the pages of one of them, and a batch for each hundred.
    expect(sum(queries)).toBeLessThanOrEqual(60);
    expect(Math.max(...queries)).toBeLessThanOrEqual(100);
  });

  test("looks at all that are due", async () => {
    const tenant = await newOrganisation();
    await insertSessionRows(tenant.id, 2_150, { sweepAt: Date.now() });
    await queriesOfRun({ SESSIONS: emptyObjects });
    expect(await countRows("sessions", tenant.id)).toBe(0);
  });

  test.each([
    ["that ended", () => ({ endedAt: Date.now() - 21 * 60_000 })],
    ["that are live, and whose objects hold nothing", () => ({ sweepAt: Date.now() })],
  ])("removes those %s in as few queries when each is of another organisation", async (_, when) => {
    const first = await newOrganisation();
    await queriesOfRun({ SESSIONS: emptyObjects });
    const others = { rows: await count("sessions"), live: await liveSessions() };
    await insertSessionRows(first.id, 2_150, { ...when(), organisations: 2_150 });
    const queries = await queriesOfRun({ SESSIONS: emptyObjects });
    expect({ rows: await count("sessions"), live: await liveSessions() }).toEqual(others);
    expect(sum(queries)).toBeLessThanOrEqual(60);
    expect(Math.max(...queries)).toBeLessThanOrEqual(100);
  });
});

test("one run ends all pairing requests whose time is over, however many applications have them", async () => {
  const at = await newApplication();
  for (let i = 0; i < 3; i++) {
    const { application } = await newApplication(at);
    const requests = { count: 190, at: Date.now() - 600_000, status: "pending" };
    await insertPairingRequests({ application, id: at.id }, requests);
  }
  await queriesOfRun();
  const left = await env.DB.prepare(
    "select count(*) n from pairing_requests where status = 'pending'",
  );
  expect(await left.first("n")).toBe(0);
});

test("one run reaches the last of 60,100 organisations in its minute", async () => {
  await env.DB.prepare(
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < 60100)
     insert into organisations (name, created_at) select 'many', 0 from n`,
  ).run();
  try {
    const last = await newOrganisation();
    await insertRecoveries(last.id, 3, old());
    const queries = await queriesOfRun();
    expect(await countRows("webhook_recoveries", last.id)).toBe(0);
    expect(Math.max(...queries)).toBeLessThanOrEqual(MAX_QUERIES);
  } finally {
    await env.DB.prepare("delete from organisations where name = 'many'").run();
  }
});

test("the runs of the sweep empty each of 110 organisations that were deleted in an hour", async () => {
  const oldest = await newOrganisation();
  await insertEvents(oldest.id, 3, Date.now());
  await env.DB.prepare("update organisations set deleted_at = ? where id = ?")
    .bind(Date.now() - 60_000, oldest.id)
    .run();
  await env.DB.prepare(
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < 110)
     insert into organisations (name, created_at, deleted_at) select 'gone', 0, ? from n`,
  )
    .bind(Date.now())
    .run();
  const newest = await newOrganisation();
  await insertEvents(newest.id, 3, Date.now());
  await env.DB.prepare("update organisations set deleted_at = ? where id = ?")
    .bind(Date.now(), newest.id)
    .run();
  const queries = await queriesOfRun();
  expect(await countRows("events", oldest.id)).toBe(0);
  expect(await countRows("events", newest.id)).toBe(0);
  expect(Math.max(...queries)).toBeLessThanOrEqual(MAX_QUERIES);
});

test("an application behind many others is swept too", async () => {
  const at = await newApplication();
  for (let i = 0; i < 45; i++) await newApplication(at);
  await insertPairingRequests(at, { count: 5, at: old(), status: "rejected" });
  const { application } = await newApplication(at);
  const requests = { count: 5, at: old(), status: "rejected" };
  await insertPairingRequests({ application, id: at.id }, requests);
  await queriesOfRun();
  expect(await count("pairing_requests where status = 'rejected'")).toBe(0);
});

test("a run that finds nothing makes one query for each kind of work, and hands nothing on", async () => {
  await queriesOfRun();
  await env.DB.prepare("delete from organisations").run();
  expect(await queriesOfRun()).toEqual([17]);
});

test("the Worker's own queue finishes what one run leaves", async () => {
  const tenant = await newOrganisation();
  await insertJoinCodes(tenant.id, 4_500, Date.now() - 1);
  await sweep(env, createExecutionContext());
  await eventually(async () => expect(await countRows("join_codes", tenant.id)).toBe(0));
});

describe("a message of the sweep", () => {
  const message = (until: number) => ({ v: 1, task: { job: "join-codes" }, until });

  test("that is older than the next run does its steps, and leaves the rest to that run", async () => {
    const tenant = await newOrganisation();
    await insertJoinCodes(tenant.id, 43_000, Date.now() - 1);
    await consume("drawbridge-sweep", [message(Date.now() - 1)]);
    expect(await countRows("join_codes", tenant.id)).toBe(3_000);
  });

  test("with a task of another version of the Worker is let go: a run finds the work itself", async () => {
    const task = { job: "retention", remainder: 0, cutoff: 0, after: 0 };
    const handled = await consume("drawbridge-sweep", [{ v: 1, task, until: Date.now() + 60_000 }]);
    expect(handled).toEqual({ acknowledged: [0], retried: [] });
  });

  test.each([null, {}, { v: 2, task: { job: "join-codes" }, until: 0 }, { v: 1, until: 0 }])(
    "that cannot be read (%j) is kept among the dead letters",
    async (body) => {
      const before = Number(await count("dead_letters"));
      expect(await consume("drawbridge-sweep", [body])).toEqual({ acknowledged: [0], retried: [] });
      expect(await count("dead_letters")).toBe(before + 1);
    },
  );
});
