/**
 * A relay session that has ended leaves D1 and its object within an hour, and nothing brings it back. Until
 * its events are recorded it stays.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { SessionProjection } from "../../src/session/projection";
import type { Session } from "../../src/session/session";
import { endedOf, endedToRemove } from "../../src/session/session-key";
import { runTask } from "../../src/sweep/chain";
import { queueEndedRelays } from "../../src/sweep/sweep-sessions";
import type { SweepMessage, SweepServices, Task } from "../../src/sweep/tasks";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { d1Lost, withD1 } from "../support/d1";
import { breakObjects, journalUnreachable, stubOf, withJournals } from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import { rowsOf, written } from "../support/rows";
import { authorize, create, list, read, remove } from "../support/sessions";
import { runSweep } from "../support/sweep";
import { countRows, insertSessionRows } from "../support/sweepable-rows";

const MINUTES = 60;

beforeEach(stopClockAhead);
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function recorded(tenant: Tenant, count: number): Promise<void> {
  await eventually(async () => expect(await eventRows(tenant)).toHaveLength(count));
}

async function endedSession(tenant: Tenant): Promise<string> {
  const { body } = await create(tenant.key);
  await remove(tenant.key, body.session_id);
  return body.session_id;
}

/** An organisation with a session that has ended, whose events are recorded. */
async function withEnded() {
  const tenant = await newOrganisation();
  const id = await endedSession(tenant);
  await recorded(tenant, 2);
  return { tenant, id };
}

function keysOf(id: string): Promise<string[]> {
  return runInDurableObject(stubOf(id), (_, { storage }) =>
    [...storage.kv.list()].map(([key]) => key),
  );
}

const rowsLeft = ({ id }: Tenant) => countRows("sessions", id);

describe("a relay session that has ended", () => {
  test("leaves D1 and its object, and its events stay", async () => {
    const { tenant, id } = await withEnded();
    const { session_id: live } = (await create(tenant.key, { idle_seconds: 3_600 })).body;
    advance(21 * MINUTES);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(1);
    expect(await keysOf(id)).toEqual([]);
    expect((await read(tenant.key, live)).status).toBe(200);
    await recorded(tenant, 3);
    expect((await read(tenant.key, id)).status).toBe(404);
    expect((await authorize(tenant.key, id)).status).toBe(404);
    expect((await list(tenant.key)).body).toMatchObject({ total_count: 1 });
  });

  test("also leaves when its time was over, or it was never used", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key, { ttl_seconds: 60 })).body;
    advance(60);
    await read(tenant.key, id);
    await recorded(tenant, 2);
    advance(21 * MINUTES);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(0);
    expect(await keysOf(id)).toEqual([]);
  });

  test("stays for ten minutes, in which callers are told that it has ended", async () => {
    const { tenant, id } = await withEnded();
    advance(10 * MINUTES);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(1);
    expect((await authorize(tenant.key, id)).body.code).toBe("session-ended");
  });

  test("stays for ten minutes, also where a message of the sweep waited until its minutes came round", async () => {
    await withEnded();
    const now = Date.now();
    const services = { db: openDatabase(env), now } as SweepServices;
    const ended = endedToRemove(now - 20 * 60_000);
    const task = { job: "ended-relays" as const, ended, after: null };
    expect(await queueEndedRelays(services, task)).toEqual({ rest: null, more: [] });
  });

  test("is not brought back by a write of its live state that comes late", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    const late = await liveState(id);
    await remove(tenant.key, id);
    await recorded(tenant, 2);
    advance(10 * MINUTES);
    await runSweep();
    const projection = new SessionProjection(openDatabase(env), { isNew: false });
    await projection.write(late, { announced: 1, now: Date.now() });
    expect((await list(tenant.key)).body).toMatchObject({ sessions: [], total_count: 0 });
    advance(15 * MINUTES);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(0);
  });

  test("writes two rows by that: its row, and its object", async () => {
    await withEnded();
    await runSweep();
    advance(21 * MINUTES);
    const rows = await rowsOf(() => runSweep());
    expect(rows).toMatchObject({ d1Written: 1, objectWritten: 1 });
    expect(written(await rowsOf(() => runSweep()))).toBe(0);
  });

  test("stays until its events are recorded in a journal", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    await recorded(tenant, 1);
    await withJournals(journalUnreachable, async () => {
      await remove(tenant.key, id);
      advance(21 * MINUTES);
      await runSweep();
    });
    expect(await rowsLeft(tenant)).toBe(1);
    expect(await keysOf(id)).toEqual(["session"]);
    await stubOf(id).reconcile();
    await recorded(tenant, 2);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(0);
    expect(await keysOf(id)).toEqual([]);
  });

  test("stays while its object fails, is found again, and does not delay the others", async () => {
    const tenant = await newOrganisation();
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push(await endedSession(tenant));
    await recorded(tenant, 24);
    advance(21 * MINUTES);
    const broken = ids[3] ?? "";
    breakObjects("purgeEnded", (name) => name === broken);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(1);
    expect(await keysOf(broken)).toEqual(["session"]);
    vi.restoreAllMocks();
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(0);
    expect(await keysOf(broken)).toEqual([]);
  });

  test("has its row removed by the next run, if D1 was down when its object was emptied", async () => {
    const { tenant, id } = await withEnded();
    advance(21 * MINUTES);
    await withD1(
      (sql) => (sql.includes('delete from "sessions"') ? d1Lost() : undefined),
      () => runSweep(),
    );
    expect(await keysOf(id)).toEqual([]);
    expect(await rowsLeft(tenant)).toBe(1);
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(0);
  });

  test("leaves in pages, with all that ended when it did", async () => {
    const tenant = await newOrganisation();
    await insertSessionRows(tenant.id, 110, { endedAt: Date.now() - 21 * MINUTES * 1_000 });
    await runSweep();
    expect(await rowsLeft(tenant)).toBe(0);
  });

  test("leaves the rest of very many to the next run, which begins them again", async () => {
    await runSweep();
    const { id } = await newOrganisation();
    const endedAt = Date.now() - 21 * 60_000;
    await insertSessionRows(id, 2_001, { endedAt });
    const sent: Task[] = [];
    const sweeps = {
      sendBatch: async (some: { body: SweepMessage }[]) =>
        void sent.push(...some.map(({ body }) => body.task)),
    };
    const services = { db: openDatabase(env), now: Date.now(), sweeps } as unknown as SweepServices;
    const ended = [endedOf({ kind: "relay", status: "expired", endedAt } as Session)];
    const task = { job: "ended-relays" as const, ended, after: null };
    await runTask(services, task, { steps: 2, until: Date.now() - 1 });
    expect(sent.map(({ job }) => job)).toEqual(Array(20).fill("remove-ended-relays"));
    await runTask(services, task, { steps: 2, until: Date.now() + 60_000 });
    expect(sent.slice(20).map(({ job }) => job)).toEqual([
      ...Array(20).fill("remove-ended-relays"),
      "ended-relays",
    ]);
    await env.DB.prepare("delete from sessions where organisation_id = ?").bind(id).run();
  });

  test("is not read before its time, however long it lived", async () => {
    const tenant = await newOrganisation();
    await runSweep();
    const idle = await rowsOf(() => runSweep());
    await insertSessionRows(tenant.id, 2_000, { endedAt: Date.now() });
    const rows = await rowsOf(() => runSweep());
    // Where a range ends, the row behind it counts as read.
    expect(rows.d1Read - idle.d1Read).toBeLessThanOrEqual(8);
    expect(written(rows)).toBe(0);
  });
});

describe("the object of a session", () => {
  test("is not emptied while the session is live, whatever the row says", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    expect(await purgeEnded(id)).toBe(false);
    expect((await read(tenant.key, id)).status).toBe(200);
  });

  test("is not emptied while something has still to be told", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    await withJournals(journalUnreachable, async () => {
      await remove(tenant.key, id);
      expect(await purgeEnded(id)).toBe(false);
    });
    expect(await keysOf(id)).toEqual(["session"]);
  });

  test("that holds nothing counts as emptied", async () => {
    expect(await purgeEnded("ffffffffffff-S")).toBe(true);
  });
});

const purgeEnded = (id: string) => stubOf(id).purgeEnded();

/** A session's state as D1 has it now. */
async function liveState(id: string): Promise<Session> {
  const row = env.DB.prepare("select state from sessions where id = ? and ended = 0").bind(id);
  return JSON.parse((await row.first<string>("state")) ?? "");
}
