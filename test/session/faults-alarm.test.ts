/**
 * The alarm is late, early, repeated or lost: a session ends when it has to, once, and not before.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import {
  alarmIn,
  journalUnreachable,
  loseAlarm,
  ring,
  stubOf,
  withJournals,
} from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import { authorize, create, list, read, remove, revoke } from "../support/sessions";
import { connect, newRelay, upgrade } from "../support/socket";
import { runSweep } from "../support/sweep";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

/** A session that idles after 10 s and lives a minute, unless its test says otherwise. */
async function shortSession(more: Record<string, unknown> = {}) {
  const tenant = await newOrganisation();
  const settings = { ttl_seconds: 60, idle_seconds: 10, users: [{ ip: "192.0.2.1" }], ...more };
  const { body } = await create(tenant.key, settings);
  const id: string = body.session_id;
  return { tenant, id, stub: stubOf(id), token: body.session_users[0].authorization_token };
}

/** Asserts that the session has ended exactly once, for everyone. */
async function expectEnded(tenant: Tenant, id: string, reason = "api"): Promise<void> {
  const ends = await eventually(async () => {
    const rows = (await eventRows(tenant)).filter(({ type }) => type === "session.expired");
    expect(rows.length).toBeGreaterThan(0);
    return rows;
  });
  expect(ends).toHaveLength(1);
  expect(JSON.parse(ends[0]?.data ?? "").session).toMatchObject({ status: "expired", reason });
  expect((await read(tenant.key, id)).status).toBe(404);
  expect((await list(tenant.key)).body).toMatchObject({ total_count: 0, sessions: [] });
}

async function expectLives(tenant: Tenant, id: string): Promise<void> {
  expect((await list(tenant.key)).body).toMatchObject({ total_count: 1 });
  expect((await eventRows(tenant)).map(({ type }) => type)).not.toContain("session.expired");
  expect((await read(tenant.key, id)).status).toBe(200);
}

describe("a session whose time is over before its alarm has rung", () => {
  const life = { idle_seconds: 3_600 };
  test("is shown as ended by a read, and by the list from then on", async () => {
    const { tenant, id } = await shortSession(life);
    advance(60);
    expect((await read(tenant.key, id)).status).toBe(404);
    await expectEnded(tenant, id);
  });

  test("is still alive a millisecond earlier", async () => {
    const { tenant, id } = await shortSession(life);
    advance(59.999);
    await expectLives(tenant, id);
  });

  test("lets no user in and revokes none", async () => {
    const { tenant, id, token } = await shortSession(life);
    advance(60);
    expect((await authorize(tenant.key, id)).status).toBe(409);
    expect((await revoke(tenant.key, id, token)).status).toBe(409);
    await expectEnded(tenant, id);
  });

  test("cannot be deleted: it ended by itself", async () => {
    const { tenant, id } = await shortSession(life);
    advance(60);
    expect((await remove(tenant.key, id)).status).toBe(404);
    await expectEnded(tenant, id);
  });

  test("lets no websocket in, also after an eviction", async () => {
    const relay = await newRelay(2, { ttl_seconds: 60 });
    advance(60);
    await evictDurableObject(relay.stub);
    expect((await upgrade(relay, 1)).status).toBe(410);
  });

  test("is shown as ended by an evicted object too", async () => {
    const { tenant, id, stub } = await shortSession(life);
    advance(60);
    await evictDurableObject(stub);
    expect((await read(tenant.key, id)).status).toBe(404);
    await expectEnded(tenant, id);
  });

  test.each([
    ["", false, 10],
    [" by an object that was evicted", true, 12.5],
  ])("is shown as ended too when it was idle%s", async (_, evicted, seconds) => {
    const { tenant, id, stub } = await shortSession();
    advance(seconds - 0.001);
    if (evicted) await evictDurableObject(stub);
    advance(0.001);
    expect((await read(tenant.key, id)).status).toBe(404);
    await expectEnded(tenant, id);
  });

  test("does nothing when the alarm rings later", async () => {
    const { tenant, id, stub } = await shortSession(life);
    advance(60);
    await read(tenant.key, id);
    await runDurableObjectAlarm(stub);
    await expectEnded(tenant, id);
    expect(await alarmIn(id)).toBeNull();
  });
});

describe("the alarm of a session", () => {
  test("ends it at the end of its life, and leaves no alarm", async () => {
    const { tenant, id, stub } = await shortSession({ idle_seconds: 3_600 });
    expect(await alarmIn(id)).toBe(60);
    advance(60);
    await runDurableObjectAlarm(stub);
    expect(await alarmIn(id)).toBeNull();
    await expectEnded(tenant, id);
  });

  test("ends it once when it rings twice", async () => {
    const { tenant, id } = await shortSession();
    advance(60);
    await ring(id, 2);
    await ring(id);
    await expectEnded(tenant, id);
  });

  test("does not end it when it rings early, and wakes it again in time", async () => {
    const { tenant, id, stub } = await shortSession();
    for (let second = 1; second <= 9; second++) {
      advance(1);
      expect(await runDurableObjectAlarm(stub)).toBe(true);
    }
    expect(await alarmIn(id)).toBe(3.5);
    await expectLives(tenant, id);
  });

  test("does not end it when it rings early in an object that was evicted, and wakes it again", async () => {
    const { tenant, id, stub } = await shortSession();
    advance(5);
    await evictDurableObject(stub);
    await ring(id);
    expect(await alarmIn(id)).toBeGreaterThan(0);
    await expectLives(tenant, id);
  });

  test("ends it as idle, and not too early, when nobody is connected and nobody calls", async () => {
    const { tenant, id, stub } = await shortSession();
    advance(9.999);
    await runDurableObjectAlarm(stub);
    expect((await list(tenant.key)).body.total_count).toBe(1);
    advance(0.001);
    await runDurableObjectAlarm(stub);
    await expectEnded(tenant, id);
  });

  test("ends it as idle in an object that was evicted, without any call", async () => {
    const { tenant, id, stub } = await shortSession();
    advance(12.5);
    await runInDurableObject(stub, (_, { storage }) => storage.setAlarm(1));
    await evictDurableObject(stub);
    await expectEnded(tenant, id);
  });

  test("ends it only at the end of its life while a websocket is open, however silent", async () => {
    const relay = await newRelay(1, { ttl_seconds: 60, idle_seconds: 10 });
    const host = await connect(relay, 0);
    for (let times = 1; times <= 4; times++) {
      advance(14);
      await evictDurableObject(relay.stub);
      await runDurableObjectAlarm(relay.stub);
    }
    expect(host.open).toBe(true);
    advance(4);
    await runDurableObjectAlarm(relay.stub);
    expect((await host.closed).code).toBe(4410);
  });

  test("closes its websockets at the end of its life also while its journal cannot be reached", async () => {
    const relay = await newRelay(1, { ttl_seconds: 60 });
    const host = await connect(relay, 0);
    await withJournals(journalUnreachable, async () => {
      await authorize(relay.key, relay.id);
      for (let failed = 1; failed <= 6; failed++) await runDurableObjectAlarm(relay.stub);
      expect(await alarmIn(relay.id)).toBeLessThanOrEqual(60);
      advance(60);
      await runDurableObjectAlarm(relay.stub);
    });
    expect((await host.closed).code).toBe(4410);
  });
});

describe("a session that is polled", () => {
  test("stays alive across evictions, and ends as idle when the polling stops", async () => {
    const { tenant, id, stub } = await shortSession({ ttl_seconds: 3_600 });
    for (let polled = 1; polled <= 20; polled++) {
      advance(8);
      await evictDurableObject(stub);
      expect((await read(tenant.key, id)).status, `poll ${polled}`).toBe(200);
    }
    expect(await alarmIn(id)).toBeGreaterThanOrEqual(10);
    expect(await alarmIn(id)).toBeLessThanOrEqual(12.5);
    advance(12.5);
    await runDurableObjectAlarm(stub);
    await expectEnded(tenant, id);
  });

  test("stays alive when its alarm rings between the polls", async () => {
    const { tenant, id, stub } = await shortSession({ ttl_seconds: 3_600 });
    for (let polled = 1; polled <= 10; polled++) {
      advance(8);
      await runDurableObjectAlarm(stub);
      expect((await read(tenant.key, id)).status, `poll ${polled}`).toBe(200);
    }
  });

  test("ends at the end of its life", async () => {
    const { tenant, id } = await shortSession();
    for (let polled = 1; polled <= 7; polled++) {
      advance(8);
      expect((await read(tenant.key, id)).status).toBe(200);
    }
    advance(4);
    expect((await read(tenant.key, id)).status).toBe(404);
    await expectEnded(tenant, id);
  });
});

describe("a session whose alarm was lost", () => {
  test("is ended by the sweep, evicted or not", async () => {
    for (const evicted of [false, true]) {
      const { tenant, id, stub } = await shortSession();
      await loseAlarm(id);
      if (evicted) await evictDurableObject(stub);
      advance(60 + 59);
      await runSweep();
      expect((await list(tenant.key)).body.total_count).toBe(1);
      advance(1);
      await runSweep();
      await expectEnded(tenant, id);
    }
  });

  test("gets its alarm again with the next call, when its object was evicted", async () => {
    const { tenant, id, stub } = await shortSession();
    await loseAlarm(id);
    await evictDurableObject(stub);
    await expectLives(tenant, id);
    expect(await alarmIn(id)).toBe(12.5);
  });
});
