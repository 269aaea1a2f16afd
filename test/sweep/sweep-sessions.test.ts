/**
 * The sweep ends sessions that are due, drains outboxes that were not drained, and goes on past
 * objects that fail.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { d1Lost, withD1 } from "../support/d1";
import {
  alarmIn,
  breakObjects,
  isProjection,
  journalUnreachable,
  loseAlarm,
  stubOf,
  withJournals,
} from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import { d1CallsOf, rowsOf } from "../support/rows";
import { authorize, create, idsOf, list, read } from "../support/sessions";
import { runSweep } from "../support/sweep";
import { countRows, insertSessionRows } from "../support/sweepable-rows";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Sessions that live a minute, whose alarms are lost. */
async function forgotten(tenant: Tenant, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const { body } = await create(tenant.key, { ttl_seconds: 60 });
    await loseAlarm(body.session_id);
    ids.push(body.session_id);
  }
  return ids;
}

async function typesOf(tenant: Tenant, count: number): Promise<string[]> {
  const rows = await eventually(async () => {
    const found = await eventRows(tenant);
    expect(found).toHaveLength(count);
    return found;
  });
  return rows.map(({ type }) => type).sort();
}

describe("a session whose time is over and whose end was not recorded", () => {
  test("is ended by the sweep a minute later, and leaves the list", async () => {
    const tenant = await newOrganisation();
    await forgotten(tenant, 1);
    advance(120);
    await runSweep();
    expect((await list(tenant.key)).body.total_count).toBe(0);
    expect(await typesOf(tenant, 2)).toEqual(["session.active", "session.expired"]);
    const row = await env.DB.prepare(
      "select ended > 0 as ended, sweep_at from sessions where organisation_id = ?",
    )
      .bind(tenant.id)
      .first();
    expect(row).toEqual({ ended: 1, sweep_at: null });
  });

  test("is left alone before that minute is over", async () => {
    const tenant = await newOrganisation();
    const poked = breakObjects("reconcile", () => false);
    const [id] = await forgotten(tenant, 1);
    advance(119.999);
    await runSweep();
    expect(poked).not.toContain(id);
    expect((await list(tenant.key)).body.total_count).toBe(1);
  });

  test("is looked at once: the next run does not find it", async () => {
    const tenant = await newOrganisation();
    const poked = breakObjects("reconcile", () => false);
    const [id] = await forgotten(tenant, 1);
    advance(120);
    await runSweep();
    await runSweep();
    expect(poked.filter((name) => name === id)).toHaveLength(1);
    expect(await typesOf(tenant, 2)).toEqual(["session.active", "session.expired"]);
  });
});

describe("a session whose outbox was not drained, and whose alarm was lost,", () => {
  test("is drained when the sweep finds it, and gets its alarm again", async () => {
    const tenant = await newOrganisation();
    const made = await withJournals(journalUnreachable, () => create(tenant.key));
    const id = made.body.session_id;
    await loseAlarm(id);
    await evictDurableObject(stubOf(id));
    advance(119.999);
    await runSweep();
    expect(await eventRows(tenant)).toEqual([]);
    advance(0.001);
    await runSweep();
    expect(await typesOf(tenant, 1)).toEqual(["session.active"]);
    expect((await read(tenant.key, id)).status).toBe(200);
    expect(await alarmIn(id)).toBeGreaterThan(0);
  });

  test("is tried again two minutes later, while its journal still cannot be reached", async () => {
    const tenant = await newOrganisation();
    const id = await withJournals(journalUnreachable, async () => {
      const { body } = await create(tenant.key);
      advance(120);
      await runSweep();
      await loseAlarm(body.session_id);
      await evictDurableObject(stubOf(body.session_id));
      return body.session_id;
    });
    expect(await eventRows(tenant)).toEqual([]);
    advance(120);
    await runSweep();
    expect(await typesOf(tenant, 1)).toEqual(["session.active"]);
    expect(idsOf(await list(tenant.key))).toEqual([id]);
  });

  test("shows a change that D1 missed when it is due to end at the latest", async () => {
    const tenant = await newOrganisation();
    const [id = ""] = await forgotten(tenant, 1);
    await withD1(
      (sql) => (isProjection(sql) ? d1Lost() : undefined),
      () => authorize(tenant.key, id),
    );
    await loseAlarm(id);
    await evictDurableObject(stubOf(id));
    advance(120);
    await runSweep();
    expect(await typesOf(tenant, 3)).toEqual([
      "session.active",
      "session.expired",
      "session.user_authorized",
    ]);
    expect((await list(tenant.key)).body.total_count).toBe(0);
  });
});

test("a live session whose alarm was lost gets it again when the sweep looks at it", async () => {
  const tenant = await newOrganisation();
  const { session_id: id } = (await create(tenant.key)).body;
  await loseAlarm(id);
  await evictDurableObject(stubOf(id));
  await env.DB.prepare("update sessions set sweep_at = ? where id = ?").bind(Date.now(), id).run();
  await runSweep();
  expect(await alarmIn(id)).toBeGreaterThan(0);
  expect((await read(tenant.key, id)).status).toBe(200);
});

describe("a run of the sweep", () => {
  test("goes on past an object that fails, and finds it again in the next run", async () => {
    const tenant = await newOrganisation();
    const ids = await forgotten(tenant, 12);
    breakObjects("reconcile", (name) => name === ids[0]);
    advance(120);
    await runSweep();
    expect((await list(tenant.key)).body.total_count).toBe(1);
    vi.restoreAllMocks();
    await runSweep();
    expect((await list(tenant.key)).body.total_count).toBe(0);
    expect(await typesOf(tenant, 2 * ids.length)).toHaveLength(24);
  });

  test("removes a row whose object holds nothing, and takes it out of the count", async () => {
    const tenant = await newOrganisation();
    await insertSessionRows(tenant.id, 3, { sweepAt: Date.now() });
    expect((await list(tenant.key, "?limit=1")).body.total_count).toBe(3);
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(0);
    expect((await list(tenant.key)).body.total_count).toBe(0);
  });

  test("does so at once for both kinds of sessions, of several organisations", async () => {
    const tenants = [await newOrganisation(), await newOrganisation()];
    const due = Date.now();
    for (const { id } of tenants) {
      await insertSessionRows(id, 2, { sweepAt: due });
      await env.DB.batch([
        env.DB.prepare(
          `insert into sessions (organisation_id, kind, ended, created_at, id, version, announced, sweep_at,
             source_id, state) values (?1, 'source', 0, 1, 'ses_left_over_' || ?1, 1, 1, ?2, 1, '{}')`,
        ).bind(id, due),
        // One more that has ended, and stays.
        env.DB.prepare("insert into session_counts values (?, 'source', 1, 2)").bind(id),
      ]);
    }
    const calls = await d1CallsOf(runSweep);
    expect(calls.filter((sql) => sql.includes('delete from \\"sessions\\"'))).toHaveLength(1);
    const counts = await env.DB.prepare(
      "select kind, live, total from session_counts where organisation_id in (?, ?) order by kind",
    )
      .bind(...tenants.map(({ id }) => id))
      .all();
    const [relay, source] = [
      { kind: "relay", live: 0, total: 0 },
      { kind: "source", live: 0, total: 1 },
    ];
    expect(counts.results).toEqual([relay, relay, source, source]);
    for (const { id } of tenants) expect(await countRows("sessions", id)).toBe(0);
  });

  test("goes through more than one page", async () => {
    const tenant = await newOrganisation();
    await insertSessionRows(tenant.id, 110, { sweepAt: Date.now() });
    await runSweep();
    expect(await countRows("sessions", tenant.id)).toBe(0);
  });

  test("reads what is due, and nothing of sessions that are not", async () => {
    const [one, other] = [await newOrganisation(), await newOrganisation()];
    await runSweep();
    const idle = await rowsOf(runSweep);
    await insertSessionRows(one.id, 3_000, { sweepAt: Date.now() + 600_000 });
    await insertSessionRows(other.id, 2_000, { endedAt: Date.now() });
    const rows = await rowsOf(runSweep);
    expect(rows.d1Read - idle.d1Read).toBeLessThanOrEqual(4);
    expect(rows).toMatchObject({ d1Written: 0, objectRead: 0, objectWritten: 0 });
  });
});
