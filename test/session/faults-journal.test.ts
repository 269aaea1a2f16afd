/**
 * A journal cannot be reached, or is told twice: no event is lost or recorded twice, and no session waits
 * for it.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { DomainEvent } from "../../src/events/event";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { alarmIn, journalUnreachable, stubOf, withJournals } from "../support/faults";
import { deliveryRows, eventRows, eventually, newMailbox, record } from "../support/pipeline";
import { authorize, create, idsOf, list, read, remove, revoke } from "../support/sessions";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

const refusing = <T>(work: () => Promise<T>) => withJournals(journalUnreachable, work);

/** The types of all events of an organisation, by version, once there are so many. */
async function typesOf(tenant: Tenant, count: number): Promise<string[]> {
  return eventually(async () => {
    const rows = await eventRows(tenant);
    expect(rows).toHaveLength(count);
    const version = ({ data }: { data: string }) => JSON.parse(data).session.version;
    return rows.sort((a, b) => version(a) - version(b)).map(({ type }) => type);
  });
}

async function rowOf(tenant: Tenant) {
  return env.DB.prepare(
    "select version, announced, sweep_at from sessions where organisation_id = ?",
  )
    .bind(tenant.id)
    .first<{ version: number; announced: number; sweep_at: number | null }>();
}

describe("a session while its journal cannot be reached", () => {
  test("is created and listed at once, and its alarm has the event recorded", async () => {
    const tenant = await newOrganisation();
    const made = await refusing(() => create(tenant.key));
    expect(made).toMatchObject({ status: 200, body: { status: "READY" } });
    const id = made.body.session_id;
    expect(idsOf(await list(tenant.key))).toEqual([id]);
    expect(await eventRows(tenant)).toEqual([]);
    expect(await rowOf(tenant)).toMatchObject({ version: 1, announced: 0 });

    expect(await alarmIn(id)).toBeLessThanOrEqual(1);
    expect(await runDurableObjectAlarm(stubOf(id))).toBe(true);
    expect(await typesOf(tenant, 1)).toEqual(["session.active"]);
    expect(await rowOf(tenant)).toMatchObject({ version: 1, announced: 1 });
  });

  test("asks the sweep in its row to look soon, until its events are recorded", async () => {
    const tenant = await newOrganisation();
    const made = await refusing(() => create(tenant.key, { ttl_seconds: 3_600 }));
    expect(await rowOf(tenant)).toMatchObject({ sweep_at: Date.now() + 120_000 });
    await runDurableObjectAlarm(stubOf(made.body.session_id));
    const endsAt = Date.parse(made.body.expires_at);
    expect(await rowOf(tenant)).toMatchObject({ sweep_at: endsAt + 60_000 });
  });

  test("has all events of its life recorded in the end, each with its own state", async () => {
    const tenant = await newOrganisation();
    const id = await refusing(async () => {
      const { body } = await create(tenant.key, { users: [{ ip: "192.0.2.1" }] });
      await authorize(tenant.key, body.session_id);
      await revoke(tenant.key, body.session_id, body.session_users[0].authorization_token);
      expect((await remove(tenant.key, body.session_id)).status).toBe(204);
      return body.session_id;
    });
    expect((await list(tenant.key)).body.total_count).toBe(0);
    expect(await eventRows(tenant)).toEqual([]);
    await runDurableObjectAlarm(stubOf(id));
    expect(await typesOf(tenant, 4)).toEqual([
      "session.active",
      "session.user_authorized",
      "session.user_revoked",
      "session.expired",
    ]);
    const users = (await eventRows(tenant)).map(
      ({ data }) => JSON.parse(data).session.users.length,
    );
    expect(users.sort()).toEqual([1, 1, 1, 2]);
    expect(await alarmIn(id)).toBeNull();
  });

  test("has all events recorded also when its object is evicted", async () => {
    const tenant = await newOrganisation();
    const id = await refusing(async () => {
      const { body } = await create(tenant.key);
      await evictDurableObject(stubOf(body.session_id));
      await authorize(tenant.key, body.session_id);
      await evictDurableObject(stubOf(body.session_id));
      return body.session_id;
    });
    await runDurableObjectAlarm(stubOf(id));
    expect(await typesOf(tenant, 2)).toEqual(["session.active", "session.user_authorized"]);
  });

  test("has very many events recorded in one call, also when the first one fails", async () => {
    const tenant = await newOrganisation();
    const id = await refusing(async () => {
      const { body } = await create(tenant.key, { max_users: 64 });
      for (let i = 0; i < 44; i++) await authorize(tenant.key, body.session_id);
      return body.session_id;
    });
    let calls = 0;
    const answerTheSecond = (_: unknown, send: () => Promise<unknown>) => {
      calls += 1;
      return calls === 1 ? journalUnreachable() : send();
    };
    await withJournals(answerTheSecond, async () => {
      await runDurableObjectAlarm(stubOf(id));
      await runDurableObjectAlarm(stubOf(id));
    });
    expect(calls).toBe(2);
    expect(await typesOf(tenant, 45)).toEqual([
      "session.active",
      ...Array.from({ length: 44 }, () => "session.user_authorized"),
    ]);
  });

  test("has its start and end sent to its webhook when the journal is back", async () => {
    const tenant = await newOrganisation();
    const mailbox = newMailbox();
    const id = await refusing(async () => {
      const { body } = await create(tenant.key, { webhook_url: mailbox.url });
      await remove(tenant.key, body.session_id);
      return body.session_id;
    });
    await runDurableObjectAlarm(stubOf(id));
    const requests = await mailbox.waitForRequests(2);
    const bodies = requests.map(({ body }) => JSON.parse(body));
    expect(bodies.map(({ status }) => status).sort()).toEqual(["Ended", "READY"]);
  });

  test.each([false, true])(
    "ends without websockets at most a quarter of its idle time late (evicted: %s)",
    async (evicted) => {
      const tenant = await newOrganisation();
      await refusing(async () => {
        const { body } = await create(tenant.key, { idle_seconds: 10 });
        const id = body.session_id;
        if (evicted) await evictDurableObject(stubOf(id));
        // Each try waits twice as long as the one before: the next is far beyond the session's idle
        // time.
        for (let failed = 1; failed <= 6; failed++) await runDurableObjectAlarm(stubOf(id));
        expect(await alarmIn(id)).toBeLessThanOrEqual(12.5);
      });
    },
  );

  test("stays alive across evictions while it is polled", async () => {
    const tenant = await newOrganisation();
    await refusing(async () => {
      const { body } = await create(tenant.key, { idle_seconds: 10 });
      for (let failed = 1; failed <= 6; failed++)
        await runDurableObjectAlarm(stubOf(body.session_id));
      for (let polled = 1; polled <= 4; polled++) {
        advance(8);
        await evictDurableObject(stubOf(body.session_id));
        expect((await read(tenant.key, body.session_id)).status, `poll ${polled}`).toBe(200);
      }
    });
  });
});

test("an event of which a journal is told twice is one event, one delivery and one attempt", async () => {
  const tenant = await newOrganisation();
  const mailbox = newMailbox();
  await withJournals(
    async (_, send) => {
      await send();
      await send();
    },
    () => create(tenant.key, { webhook_url: mailbox.url }),
  );
  await mailbox.waitForRequests(1);
  const [delivery] = await eventually(async () => {
    const rows = await deliveryRows(tenant);
    expect(rows[0]?.status).toBe("delivered");
    return rows;
  });
  expect(await typesOf(tenant, 1)).toEqual(["session.active"]);
  expect(await deliveryRows(tenant)).toHaveLength(1);
  expect(delivery?.attempts).toHaveLength(1);
});

test("an event of which its journal is told again is recorded once, also twice in one call", async () => {
  const tenant = await newOrganisation();
  const mailbox = newMailbox();
  const told: DomainEvent[] = [];
  await withJournals(
    ([event]) => {
      if (event) told.push(event);
    },
    () => create(tenant.key, { webhook_url: mailbox.url }),
  );
  await record(...told, ...told);
  await record(...told, ...told);
  expect(await eventRows(tenant)).toHaveLength(1);
  expect(await deliveryRows(tenant)).toHaveLength(1);
});
