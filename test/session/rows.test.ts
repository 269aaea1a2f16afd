/**
 * What each command costs in rows, exactly. Rows written are most of the bill, so a change of these
 * numbers is a decision.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { stubOf } from "../support/faults";
import { eventually, newMailbox } from "../support/pipeline";
import { type Rows, rowsOf, UNCOUNTED, written } from "../support/rows";
import { authorize, create, list, read, remove, revoke } from "../support/sessions";
import { pair, recorded, settledSession, warmTenant } from "../support/settled-sessions";
import { connect, fromClient, newRelay, type Relay, type Socket } from "../support/socket";

const writes = ({ d1Written, objectWritten }: Rows) => ({ d1Written, objectWritten });

describe("the rows written", () => {
  test("by a create with two users are its state and alarm; its row, index and count; its event", async () => {
    const tenant = await warmTenant();
    const rows = await rowsOf(async () => {
      await create(tenant.key, pair);
      await recorded(tenant, 1);
    });
    expect(writes(rows)).toEqual({ objectWritten: 2 + 1, d1Written: 3 });
  });

  test("by a create with 64 users are no more than that", async () => {
    const tenant = await warmTenant();
    const users = Array.from({ length: 64 }, () => ({ ip: "192.0.2.1" }));
    const rows = await rowsOf(async () => {
      await create(tenant.key, { users });
      await recorded(tenant, 1);
    });
    expect(writes(rows)).toEqual({ objectWritten: 3, d1Written: 3 });
  });

  test("by a create with a join code are also the code and its index", async () => {
    const tenant = await warmTenant();
    const rows = await rowsOf(async () => {
      await create(tenant.key, { join_code: true });
      await recorded(tenant, 1);
    });
    expect(writes(rows)).toEqual({ objectWritten: 3, d1Written: 3 + 2 });
  });

  test("by an authorize are its state, its row, its event", async () => {
    const { tenant, id } = await settledSession();
    const rows = await rowsOf(async () => {
      await authorize(tenant.key, id);
      await recorded(tenant, 2);
    });
    expect(writes(rows)).toEqual({ objectWritten: 1 + 1, d1Written: 1 });
  });

  test("by a revoke are its state, its row, its event", async () => {
    const { tenant, id, users } = await settledSession();
    const rows = await rowsOf(async () => {
      await revoke(tenant.key, id, users[1].authorization_token);
      await recorded(tenant, 2);
    });
    expect(writes(rows)).toEqual({ objectWritten: 1 + 1, d1Written: 1 });
  });

  test("by a delete are its state; its row moved out of the index, its count; its event", async () => {
    const { tenant, id } = await settledSession();
    const rows = await rowsOf(async () => {
      await remove(tenant.key, id);
      await recorded(tenant, 2);
    });
    expect(writes(rows)).toEqual({ objectWritten: 1 + 1, d1Written: 2 });
  });

  test("by a refused call are none", async () => {
    const { tenant, id } = await settledSession({ ...pair, max_users: 2 });
    const stranger = await warmTenant();
    const rows = await rowsOf(async () => {
      expect((await authorize(tenant.key, id)).status).toBe(409);
      expect((await revoke(tenant.key, id, 1)).status).toBe(404);
      expect((await remove(stranger.key, id)).status).toBe(404);
      expect((await create(tenant.key, { users: "none" })).status).toBe(400);
    });
    expect(written(rows)).toBe(0);
  });

  test("by a join, relayed frames and pings are none, and by a leave the counters", async () => {
    const relay = await newRelay(2);
    await recorded(await owner(relay), 1);
    const host = await connect(relay, 0);
    const connecting = Promise.withResolvers<Socket>();
    const joined = await rowsOf(async () => connecting.resolve(await connect(relay, 1)));
    expect(written(joined)).toBe(0);
    const client = await connecting.promise;
    const relayed = await rowsOf(async () => {
      for (let i = 0; i < 20; i++) client.send(...fromClient(i));
      for (let i = 0; i < 20; i++) await host.frame();
      await client.settle();
      await host.settle();
    });
    expect(relayed).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
    const left = await rowsOf(async () => {
      client.close(1000);
      await client.closed;
      await host.settle();
    });
    expect(writes(left)).toEqual({ d1Written: 0, objectWritten: 1 });
  });
});

/** Waits until D1 shows this version of the session with its events recorded. It is not counted. */
async function shown(id: string, version: number): Promise<void> {
  await eventually(async () => {
    const row = await env.DB.prepare(
      `${UNCOUNTED} select version, announced from sessions where id = ?`,
    )
      .bind(id)
      .first();
    expect(row).toEqual({ version, announced: version });
  });
}

describe("the rows read", () => {
  // What is remembered for some seconds, such as the key, is known throughout.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test("by a create are the object, which is empty, and in D1 one: the row that it writes", async () => {
    const { tenant } = await settledSession();
    const rows = await rowsOf(async () => {
      const { body } = await create(tenant.key, pair);
      await shown(body.session_id, 1);
    });
    expect(rows).toEqual({ d1Read: 1, d1Written: 3, objectRead: 1, objectWritten: 2 + 1 });
  });

  test("by an authorize, and by a revoke, are the session's row in D1", async () => {
    const { tenant, id, users } = await settledSession();
    const authorized = await rowsOf(async () => {
      await authorize(tenant.key, id);
      await shown(id, 2);
    });
    expect(authorized).toEqual({ d1Read: 1, d1Written: 1, objectRead: 0, objectWritten: 1 + 1 });
    const revoked = await rowsOf(async () => {
      await revoke(tenant.key, id, users[1].authorization_token);
      await shown(id, 3);
    });
    expect(revoked).toEqual({ d1Read: 1, d1Written: 1, objectRead: 0, objectWritten: 1 + 1 });
  });

  test("by an end are the session's row in D1, twice: it is counted, and moved", async () => {
    const { tenant, id, users } = await settledSession();
    await revoke(tenant.key, id, users[1].authorization_token);
    await shown(id, 2);
    const rows = await rowsOf(async () => {
      await remove(tenant.key, id);
      await shown(id, 3);
    });
    expect(rows).toEqual({ d1Read: 2, d1Written: 2, objectRead: 0, objectWritten: 1 + 1 });
  });

  test("by an object that was evicted are state, counters and alarm, and in D1 how far it got", async () => {
    const { tenant, id } = await settledSession();
    await evictDurableObject(stubOf(id));
    const rows = await rowsOf(async () => {
      await authorize(tenant.key, id);
      await shown(id, 2);
    });
    expect(rows).toEqual({ d1Read: 1 + 1, d1Written: 1, objectRead: 3, objectWritten: 1 + 1 });
  });

  test("by an evicted object whose session has lost a user are two more, until it has written them", async () => {
    const { tenant, id, users } = await settledSession();
    await revoke(tenant.key, id, users[1].authorization_token);
    await shown(id, 2);
    await evictDurableObject(stubOf(id));
    const rowsOfAuthorize = (version: number) =>
      rowsOf(async () => {
        await authorize(tenant.key, id);
        await shown(id, version);
      });
    expect(await rowsOfAuthorize(3)).toMatchObject({ d1Read: 2 + 2, objectRead: 3 });
    expect(await rowsOfAuthorize(4)).toMatchObject({ d1Read: 1, objectRead: 0 });
  });

  test("until the webhook of a create has arrived are also four, in the one query of the consumer", async () => {
    const { tenant } = await settledSession();
    const mailbox = newMailbox();
    const rows = await rowsOf(async () => {
      const { body } = await create(tenant.key, { ...pair, webhook_url: mailbox.url });
      await shown(body.session_id, 1);
      await mailbox.waitForRequests(1);
    });
    expect(rows).toMatchObject({ d1Read: 1 + 4, d1Written: 3 });
  });

  test("by a read are none, while the object and the key are in memory", async () => {
    const { tenant, id } = await settledSession();
    const rows = await rowsOf(() => read(tenant.key, id));
    expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
  });

  test("by a read after an eviction are state, counters and alarm, and none in D1", async () => {
    const { tenant, id } = await settledSession();
    await evictDurableObject(stubOf(id));
    const rows = await rowsOf(() => read(tenant.key, id));
    expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 3, objectWritten: 0 });
  });

  test("by a key that this isolate has not read are the token, the key, and whether an organisation is deleted", async () => {
    const tenant = await newOrganisation();
    const rows = await rowsOf(() => read(tenant.key, "ffffffffffff-S"));
    expect(rows).toMatchObject({ d1Read: 3, d1Written: 0 });
  });

  test("by a list of one session are its row, the next organisation's where it stops, and the count", async () => {
    await settledSession();
    const { tenant } = await settledSession();
    const rows = await rowsOf(() => list(tenant.key));
    expect(rows).toEqual({ d1Read: 3, d1Written: 0, objectRead: 0, objectWritten: 0 });
  });
});

async function owner(relay: Relay): Promise<Pick<Tenant, "id">> {
  const { organisationId } = await env.DB.prepare(
    "select organisation_id as organisationId from sessions where id = ?",
  )
    .bind(relay.id)
    .first<{ organisationId: number }>()
    .then((row) => row ?? { organisationId: 0 });
  return { id: organisationId };
}
