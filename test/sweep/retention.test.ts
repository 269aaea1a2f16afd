/**
 * What is older than the retention is removed, in pages and from both stores; what is younger
 * stays.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readConfig } from "../../src/platform/config";
import { newOrganisation, type Tenant } from "../support/client";
import { stopClockAhead } from "../support/clock";
import { d1Lost, withD1 } from "../support/d1";
import { breakObjects, stubOf } from "../support/faults";
import { holding, journalsOf } from "../support/journals";
import { deadLetters, eventRows, eventually } from "../support/pipeline";
import { rowsOf } from "../support/rows";
import { type Broker, list, newActive, newBroker, read, remove } from "../support/source-sessions";
import { runSweep } from "../support/sweep";
import {
  countRows,
  insertDeadLetters,
  insertDeliveries,
  insertEvents,
  insertIdempotencyKeys,
  insertJoinCodes,
  insertRecoveries,
  insertSessionRows,
} from "../support/sweepable-rows";

const DAY_MS = 86_400_000;
const retentionMs = readConfig(env).retentionDays * DAY_MS;

beforeEach(stopClockAhead);
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** All of today becomes older than the retention. */
function passRetention(): void {
  vi.setSystemTime(Date.now() + retentionMs + DAY_MS);
}

async function endedSession(broker: Broker): Promise<string> {
  const id = await newActive(broker);
  await remove(broker, id);
  return id;
}

/** How many sessions the list has. */
async function listed(broker: Broker): Promise<number> {
  return (await list(broker)).body.total_count;
}

function keysOf(id: string): Promise<string[]> {
  return runInDurableObject(stubOf(id), (_, { storage }) =>
    [...storage.kv.list()].map(([key]) => key),
  );
}

async function recorded(tenant: Tenant, count: number): Promise<void> {
  await eventually(async () => expect(await eventRows(tenant)).toHaveLength(count));
}

describe("a source session that ended longer ago than the retention", () => {
  test("is removed from D1 and from its object", async () => {
    const tenant = await newBroker();
    const id = await endedSession(tenant);
    await recorded(tenant, 3);
    expect(await keysOf(id)).toEqual(["session"]);
    passRetention();
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(0);
    expect(await keysOf(id)).toEqual([]);
    expect(await countRows("events", tenant.id)).toBe(0);
    expect((await read(tenant, id)).status).toBe(404);
    expect(await listed(tenant)).toBe(0);
  });

  test("stays until then, with its events", async () => {
    const tenant = await newBroker();
    const id = await endedSession(tenant);
    await recorded(tenant, 3);
    vi.setSystemTime(Date.now() + retentionMs - 60_000);
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(1);
    expect(await countRows("events", tenant.id)).toBe(3);
    expect((await read(tenant, id)).status).toBe(200);
  });

  test.each([
    ["a millisecond before", -1, 1],
    ["a millisecond after", 1, 0],
  ])("%s the moment when it is as old as the retention, it stays or goes", async (_, ms, left) => {
    const tenant = await newBroker();
    const endedAt = Date.now();
    await endedSession(tenant);
    vi.setSystemTime(endedAt + retentionMs + ms);
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(left);
  });

  test("is removed although it began before one that is alive, which stays", async () => {
    const tenant = await newBroker();
    await endedSession(tenant);
    vi.setSystemTime(Date.now() + retentionMs);
    const live = await newActive(tenant);
    vi.setSystemTime(Date.now() + 1_000);
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(1);
    expect((await read(tenant, live)).body.state).toBe("active");
    expect(await listed(tenant)).toBe(1);
  });

  test("is told apart from one that began before the retention and ended within it, which stays", async () => {
    const tenant = await newBroker();
    const id = await newActive(tenant);
    vi.setSystemTime(Date.now() + 40 * 60_000);
    await remove(tenant, id);
    vi.setSystemTime(Date.now() + retentionMs - 20 * 60_000);
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(1);
  });

  test("stays in D1 while its object fails, is found again, and does not delay the others", async () => {
    const tenant = await newBroker();
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push(await endedSession(tenant));
    passRetention();
    const broken = ids[3] ?? "";
    breakObjects("purge", (name) => name === broken);
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(1);
    expect(await keysOf(broken)).toEqual(["session"]);
    vi.restoreAllMocks();
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(0);
    expect(await keysOf(broken)).toEqual([]);
  });
});

describe("the sweep of what is older than the retention", () => {
  const old = () => Date.now() - retentionMs - 1_000;
  const young = () => Date.now() - retentionMs + 60_000;

  test("drops the journals of a day that is over as a whole, and leaves younger ones", async () => {
    const tenant = await newOrganisation();
    await insertEvents(tenant.id, 250, old() - DAY_MS);
    await insertEvents(tenant.id, 5, young());
    const [last, first] = await journalsOf(tenant.id);
    if (!last || !first) throw new Error("there are two");
    expect(await holding([last, first])).toEqual([last, first]);
    await runSweep();
    expect(await holding([last, first])).toEqual([last]);
    expect(await journalsOf(tenant.id)).toEqual([last]);
    expect(await countRows("events", tenant.id)).toBe(5);
  });

  test.each([
    ["a millisecond before", -1, 1],
    ["at", 0, 0],
  ])(
    "%s the moment when all of a day is as old as the retention, its journal stays or goes",
    async (_, ms, left) => {
      const tenant = await newOrganisation();
      const midnight = Math.floor(Date.now() / DAY_MS) * DAY_MS;
      await insertEvents(tenant.id, 1, midnight - 1);
      const keys = await journalsOf(tenant.id);
      vi.setSystemTime(midnight + retentionMs + ms);
      await runSweep();
      expect(await holding(keys)).toHaveLength(left);
      expect(await journalsOf(tenant.id)).toHaveLength(left);
    },
  );

  test("removes deliveries with their events, and leaves younger ones", async () => {
    const tenant = await newOrganisation();
    await insertDeliveries(tenant.id, 250, old() - DAY_MS);
    await insertDeliveries(tenant.id, 5, young());
    await runSweep();
    expect(await countRows("deliveries", tenant.id)).toBe(5);
  });

  test("removes recoveries in pages, and leaves younger ones", async () => {
    const tenant = await newOrganisation();
    await insertRecoveries(tenant.id, 250, old());
    await insertRecoveries(tenant.id, 5, young());
    await runSweep();
    expect(await countRows("webhook_recoveries", tenant.id)).toBe(5);
  });

  test("removes dead letters in pages, and leaves younger ones", async () => {
    await insertDeadLetters(250, old(), "<old>");
    await insertDeadLetters(5, young(), "<young>");
    await runSweep();
    expect(await deadLetters("<old>")).toHaveLength(0);
    expect(await deadLetters("<young>")).toHaveLength(5);
  });

  test("removes any number in one run and its messages", async () => {
    const tenant = await newOrganisation();
    await insertRecoveries(tenant.id, 50_100, old());
    await runSweep();
    expect(await countRows("webhook_recoveries", tenant.id)).toBe(0);
  });

  test("finds it without reading what is younger", async () => {
    const tenant = await newOrganisation();
    await runSweep();
    const empty = await rowsOf(() => runSweep());
    await insertEvents(tenant.id, 2_000, young());
    await insertDeliveries(tenant.id, 2_000, young());
    await insertDeadLetters(20, young(), "<unread>");
    const full = await rowsOf(() => runSweep());
    expect(full.d1Read - empty.d1Read).toBeLessThanOrEqual(25);
    expect(full.d1Written).toBe(0);
  });
});

describe("the sweep of what has a lifetime of its own", () => {
  test("removes join codes in pages when their session's life is over", async () => {
    const tenant = await newOrganisation();
    await insertJoinCodes(tenant.id, 250, Date.now() - 1);
    await insertJoinCodes(tenant.id, 5, Date.now() + 60_000);
    await runSweep();
    expect(await countRows("join_codes", tenant.id)).toBe(5);
  });

  test("removes kept answers in pages after a day", async () => {
    const tenant = await newOrganisation();
    await insertIdempotencyKeys(tenant.id, 250, Date.now() - DAY_MS - 1);
    await insertIdempotencyKeys(tenant.id, 5, Date.now() - DAY_MS + 60_000);
    await runSweep();
    expect(await countRows("idempotency_keys", tenant.id)).toBe(5);
  });

  test("finds it without reading what is younger", async () => {
    const tenant = await newOrganisation();
    await runSweep();
    const empty = await rowsOf(() => runSweep());
    await insertJoinCodes(tenant.id, 2_000, Date.now() + 60_000);
    await insertIdempotencyKeys(tenant.id, 2_000, Date.now());
    const full = await rowsOf(() => runSweep());
    expect(full.d1Read - empty.d1Read).toBeLessThanOrEqual(4);
  });
});

test.each([
  ["the due sessions", /"sweep_at" <=/],
  ["the old source sessions", /sessions_by_age/],
  ["the deleted organisations", /deleted_at is not null/],
  ["the join codes", /delete from "join_codes"/],
])(
  "a run of the sweep in which %s cannot be read still does all of the rest",
  async (_, failing) => {
    const tenant = await newOrganisation();
    await insertJoinCodes(tenant.id, 3, Date.now() - 1);
    await insertIdempotencyKeys(tenant.id, 3, Date.now() - 2 * DAY_MS);
    await insertEvents(tenant.id, 3, Date.now() - 2 * retentionMs);
    await insertSessionRows(tenant.id, 3, { sweepAt: Date.now() });
    let failures = 0;
    await withD1(
      (sql) => {
        if (!failing.test(sql)) return;
        failures += 1;
        d1Lost();
      },
      () => runSweep(),
    );
    expect(failures).toBeGreaterThan(0);
    const tables = ["join_codes", "idempotency_keys", "events", "sessions"];
    const left = await Promise.all(tables.map((table) => countRows(table, tenant.id)));
    const undone = left.filter((count) => count > 0).length;
    expect(undone).toBeLessThanOrEqual(1);
    await runSweep();
    expect(await Promise.all(tables.map((table) => countRows(table, tenant.id)))).toEqual([
      0, 0, 0, 0,
    ]);
  },
);
