/**
 * D1 fails or hangs while a change is written to it: commands succeed all the same, and the list
 * follows later.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { d1Lost, newGate, withD1 } from "../support/d1";
import { alarmIn, isProjection, losingAnswers, stubOf } from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import { authorize, create, idsOf, list, read, remove } from "../support/sessions";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

const failProjections = (sql: string) => {
  if (isProjection(sql)) d1Lost();
};

async function expectRecorded(tenant: Tenant, n: number) {
  await eventually(async () => expect(await eventRows(tenant)).toHaveLength(n));
}

describe("while every write of D1 fails, a session", () => {
  test("is created, its event is recorded, and its alarm puts it in the list", async () => {
    const tenant = await newOrganisation();
    const made = await withD1(failProjections, () => create(tenant.key));
    expect(made).toMatchObject({ status: 200, body: { status: "READY" } });
    const id = made.body.session_id;
    expect((await read(tenant.key, id)).status).toBe(200);
    await expectRecorded(tenant, 1);
    expect(idsOf(await list(tenant.key))).toEqual([]);

    expect(await alarmIn(id)).toBeLessThanOrEqual(1);
    expect(await runDurableObjectAlarm(stubOf(id))).toBe(true);
    expect((await list(tenant.key)).body).toMatchObject({ total_count: 1, sessions: [made.body] });
    await expectRecorded(tenant, 1);
  });

  test("is made, read and changed by a key in memory, though every statement fails", async () => {
    const tenant = await newOrganisation();
    await list(tenant.key);
    const id = await withD1(d1Lost, async () => {
      const made = await create(tenant.key, { users: [{ ip: "192.0.2.1" }] });
      expect(made.status).toBe(200);
      expect((await authorize(tenant.key, made.body.session_id)).status).toBe(200);
      const seen = await read(tenant.key, made.body.session_id);
      expect(seen.body.session_users).toHaveLength(2);
      return made.body.session_id;
    });
    await runDurableObjectAlarm(stubOf(id));
    expect((await list(tenant.key)).body.sessions[0].session_users).toHaveLength(2);
    await expectRecorded(tenant, 2);
  });

  test("ends at once, and leaves the list when D1 is back", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    const ended = await withD1(failProjections, () => remove(tenant.key, id));
    expect(ended.status).toBe(204);
    expect((await read(tenant.key, id)).status).toBe(404);
    expect((await list(tenant.key)).body.total_count).toBe(1);
    await runDurableObjectAlarm(stubOf(id));
    expect((await list(tenant.key)).body).toMatchObject({ total_count: 0, sessions: [] });
    await expectRecorded(tenant, 2);
  });

  test("has its alarm try again, after twice the time on each failure, and then goes back to its idle time", async () => {
    const tenant = await newOrganisation();
    const made = await withD1(failProjections, () => create(tenant.key, { idle_seconds: 1_000 }));
    const id = made.body.session_id;
    const waits = [await alarmIn(id)];
    await withD1(failProjections, async () => {
      for (let failed = 1; failed <= 4; failed++) {
        await runDurableObjectAlarm(stubOf(id));
        waits.push(await alarmIn(id));
      }
    });
    expect(waits.map((seconds) => Math.round(seconds ?? 0))).toEqual([1, 2, 4, 8, 16]);
    expect(idsOf(await list(tenant.key))).toEqual([]);
    await runDurableObjectAlarm(stubOf(id));
    expect(idsOf(await list(tenant.key))).toEqual([id]);
    expect(await alarmIn(id)).toBeGreaterThan(900);
  });

  test("is shown in full by the next command after the failure", async () => {
    const tenant = await newOrganisation();
    const made = await withD1(failProjections, () => create(tenant.key));
    const id = made.body.session_id;
    expect((await authorize(tenant.key, id)).status).toBe(200);
    expect((await list(tenant.key)).body).toMatchObject({ total_count: 1 });
    await expectRecorded(tenant, 2);
    expect(await alarmIn(id)).toBeGreaterThan(200);
  });

  test("ends on its time, with both of its events", async () => {
    const tenant = await newOrganisation();
    const id = await withD1(failProjections, async () => {
      const made = await create(tenant.key, { idle_seconds: 10 });
      advance(13);
      await runDurableObjectAlarm(stubOf(made.body.session_id));
      return made.body.session_id;
    });
    expect((await read(tenant.key, id)).status).toBe(404);
    await expectRecorded(tenant, 2);
    await runDurableObjectAlarm(stubOf(id));
    expect((await list(tenant.key)).body.total_count).toBe(0);
    expect(await alarmIn(id)).toBeNull();
  });
});

describe("while D1 does not answer, a session", () => {
  test("is created without waiting, and is listed when D1 goes on", async () => {
    const tenant = await newOrganisation();
    const gate = newGate();
    const id = await withD1(
      (sql) => (isProjection(sql) ? gate.wait() : undefined),
      async () => {
        const made = await create(tenant.key);
        expect(made.status).toBe(200);
        expect(idsOf(await list(tenant.key))).toEqual([]);
        gate.open();
        return made.body.session_id;
      },
    );
    await eventually(async () => expect(idsOf(await list(tenant.key))).toEqual([id]));
    await expectRecorded(tenant, 1);
  });

  test("answers commands, and all of them are shown in the end", async () => {
    const tenant = await newOrganisation();
    const { session_id: id } = (await create(tenant.key)).body;
    const gate = newGate();
    await withD1(
      (sql) => (isProjection(sql) ? gate.wait() : undefined),
      async () => {
        const answers = await Promise.all([1, 2, 3].map(() => authorize(tenant.key, id)));
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
        gate.open();
      },
    );
    await eventually(async () => {
      expect((await list(tenant.key)).body.sessions[0].session_users).toHaveLength(3);
    });
    await expectRecorded(tenant, 4);
  });
});

test("a write to D1 whose answer is lost is repeated, and counts the session once", async () => {
  const tenant = await newOrganisation();
  const made = await losingAnswers(isProjection, () => create(tenant.key));
  expect((await list(tenant.key)).body).toMatchObject({ total_count: 1 });
  await runDurableObjectAlarm(stubOf(made.body.session_id));
  await runDurableObjectAlarm(stubOf(made.body.session_id));
  expect((await list(tenant.key)).body).toMatchObject({ total_count: 1 });
  await expectRecorded(tenant, 1);
});
