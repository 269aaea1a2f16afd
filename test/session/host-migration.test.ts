/**
 * A session with `host_migration`: a host who is gone for the grace is replaced by the connected user who was
 * added first, once, whatever happens to the object and its alarm meanwhile.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newOrganisation, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { alarmIn, kill, loseAlarm, stubOf } from "../support/faults";
import { eventRows, eventually } from "../support/pipeline";
import { rowsOf, settled } from "../support/rows";
import { assignHost, join, read, remove } from "../support/sessions";
import {
  connect,
  createRelay,
  type Relay,
  revokeUser,
  type Socket,
  tryConnect,
} from "../support/socket";

const GRACE = 30;

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

interface Migrating extends Relay {
  tenant: Tenant;
}

async function newMigrating(users: number, more: Record<string, unknown> = {}): Promise<Migrating> {
  const tenant = await newOrganisation();
  const body = {
    users: Array.from({ length: users }, () => ({ ip: "192.0.2.1" })),
    host_migration: "oldest",
    host_grace_seconds: GRACE,
    ...more,
  };
  return { tenant, ...(await createRelay(tenant.key, body)) };
}

/** The user who is the host; null: nobody. Without waking what a call would do: it reads the list. */
async function hostOf({ key, id }: Relay): Promise<number | null> {
  const { session_users } = (await read(key, id)).body;
  const n = session_users.findIndex(({ is_host }: { is_host: boolean }) => is_host);
  return n < 0 ? null : n;
}

/** The hosts that were announced, in order. */
async function announcedHosts({ tenant }: Migrating, count: number): Promise<number[]> {
  return eventually(async () => {
    const rows = await eventRows(tenant);
    const sessions = rows
      .filter(({ type }) => type === "session.host_changed")
      .map(({ data }) => JSON.parse(data).session)
      .sort((a, b) => a.version - b.version);
    expect(sessions).toHaveLength(count);
    return sessions.map(({ host }) => host);
  });
}

/** Leaves, and waits until the relay has noticed: `other` is told. */
async function leave(socket: Socket, other?: Socket): Promise<void> {
  socket.close(1000);
  await socket.closed;
  if (other) await other.control("host_left");
}

const ringAlarm = ({ id }: Relay) => runDurableObjectAlarm(stubOf(id));
const evict = ({ id }: Relay) => evictDurableObject(stubOf(id));

describe("a host who has been gone for the grace", () => {
  test("is replaced when the alarm rings, by the connected user who was added first", async () => {
    const relay = await newMigrating(4);
    const host = await connect(relay, 0);
    const [third, second] = [await connect(relay, 3), await connect(relay, 2)];
    await leave(host, second);
    expect(await alarmIn(relay.id)).toBe(GRACE);
    advance(GRACE);
    await ringAlarm(relay);
    expect(await announcedHosts(relay, 1)).toEqual([2]);
    expect(await hostOf(relay)).toBe(2);
    expect([second.open, third.open]).toEqual([true, true]);
    // User 0 is a client now.
    expect((await tryConnect(relay, 0)).status).toBe(403);
    expect((await tryConnect(relay, 0, { side: "client" })).status).toBe(101);
  });

  test("is replaced by a call at that time, before it is answered, if the alarm is late or lost", async () => {
    const relay = await newMigrating(2);
    const host = await connect(relay, 0);
    await leave(host, await connect(relay, 1));
    await loseAlarm(relay.id);
    advance(GRACE - 0.001);
    expect(await hostOf(relay)).toBe(0);
    advance(0.001);
    expect(await hostOf(relay)).toBe(1);
  });

  test("and comes back after that is a client, also while the alarm is late", async () => {
    const relay = await newMigrating(2);
    const host = await connect(relay, 0);
    await leave(host, await connect(relay, 1));
    advance(GRACE);
    expect((await tryConnect(relay, 0)).status).toBe(403);
    expect(await announcedHosts(relay, 1)).toEqual([1]);
  });

  test("is replaced once, by whoever is there, when host after host leaves", async () => {
    const relay = await newMigrating(3);
    const sockets = [await connect(relay, 0), await connect(relay, 1), await connect(relay, 2)];
    const [host, second, third] = sockets as [Socket, Socket, Socket];
    await leave(host, third);
    advance(GRACE);
    await ringAlarm(relay);
    await leave(second);
    await eventually(async () =>
      expect((await read(relay.key, relay.id)).body.session_users[1].connected).toBe(false),
    );
    expect(await hostOf(relay)).toBe(1);
    advance(GRACE);
    await ringAlarm(relay);
    expect(await announcedHosts(relay, 2)).toEqual([1, 2]);
    expect(third.open).toBe(true);
  });

  test.each(["before the host leaves", "before the alarm", "at both times"])(
    "is replaced as well when the object was evicted %s",
    async (when) => {
      const relay = await newMigrating(2);
      const host = await connect(relay, 0);
      const client = await connect(relay, 1);
      if (when !== "before the alarm") await evict(relay);
      await leave(host, client);
      expect(await alarmIn(relay.id)).toBe(GRACE);
      if (when !== "before the host leaves") await evict(relay);
      advance(GRACE);
      await ringAlarm(relay);
      expect(await announcedHosts(relay, 1)).toEqual([1]);
      await evict(relay);
      expect(await hostOf(relay)).toBe(1);
      expect(client.open).toBe(true);
    },
  );

  test("is replaced by whoever connects next, at once, if nobody is connected at that time", async () => {
    const relay = await newMigrating(3);
    await leave(await connect(relay, 0));
    await eventually(async () => expect(await connectedOf(relay)).toEqual([]));
    advance(GRACE);
    expect(await hostOf(relay)).toBe(0);
    await evict(relay);
    await connect(relay, 2);
    expect(await announcedHosts(relay, 1)).toEqual([2]);
    expect(await hostOf(relay)).toBe(2);
  });

  test("stays the host if they are the next to connect", async () => {
    const relay = await newMigrating(2);
    await leave(await connect(relay, 0));
    await eventually(async () => expect(await connectedOf(relay)).toEqual([]));
    advance(2 * GRACE);
    await connect(relay, 0);
    await connect(relay, 1);
    expect(await hostOf(relay)).toBe(0);
  });

  test("and was revoked is replaced too", async () => {
    const relay = await newMigrating(2);
    await connect(relay, 0);
    const client = await connect(relay, 1);
    await revokeUser(relay, 0);
    expect(await hostOf(relay)).toBeNull();
    expect(await alarmIn(relay.id)).toBe(GRACE);
    advance(GRACE);
    await ringAlarm(relay);
    expect(await announcedHosts(relay, 1)).toEqual([1]);
    expect(client.open).toBe(true);
  });

  test("and was revoked before they ever connected is replaced too", async () => {
    const relay = await newMigrating(2);
    await revokeUser(relay, 0);
    advance(GRACE);
    await connect(relay, 1);
    expect(await announcedHosts(relay, 1)).toEqual([1]);
  });
});

describe("nobody takes over from a host", () => {
  test("who comes back in time, and the next grace counts from when they leave again", async () => {
    const relay = await newMigrating(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    await leave(host, client);
    advance(GRACE - 1);
    const again = await connect(relay, 0);
    advance(1);
    await ringAlarm(relay);
    expect(await hostOf(relay)).toBe(0);
    await leave(again, client);
    advance(GRACE - 1);
    await ringAlarm(relay);
    expect(await hostOf(relay)).toBe(0);
    advance(1);
    expect(await hostOf(relay)).toBe(1);
  });

  test("who was never connected", async () => {
    const relay = await newMigrating(2);
    await connect(relay, 1);
    advance(10 * GRACE);
    expect(await hostOf(relay)).toBe(0);
    await announcedHosts(relay, 0);
  });

  test("in a session without host_migration", async () => {
    const relay = await newMigrating(2, { host_migration: null });
    const host = await connect(relay, 0);
    await leave(host, await connect(relay, 1));
    advance(10 * GRACE);
    expect(await hostOf(relay)).toBe(0);
  });

  test("in a session that has ended meanwhile", async () => {
    const relay = await newMigrating(2);
    const host = await connect(relay, 0);
    await leave(host, await connect(relay, 1));
    await remove(relay.key, relay.id);
    advance(GRACE);
    await ringAlarm(relay);
    expect((await read(relay.key, relay.id)).status).toBe(404);
    await announcedHosts(relay, 0);
  });

  test("in a session whose time is over at the same moment", async () => {
    const relay = await newMigrating(2, { ttl_seconds: 60 });
    advance(60 - GRACE);
    const host = await connect(relay, 0);
    await leave(host, await connect(relay, 1));
    advance(GRACE);
    await ringAlarm(relay);
    expect((await read(relay.key, relay.id)).status).toBe(404);
    await announcedHosts(relay, 0);
  });
});

describe("assign-host in a session with host_migration", () => {
  test("in the grace decides who it is, and nobody else takes over", async () => {
    const relay = await newMigrating(3);
    const host = await connect(relay, 0);
    const [one] = [await connect(relay, 1), await connect(relay, 2)];
    await leave(host, one);
    await assignHost(relay.key, relay.id, relay.userTokens[2]);
    advance(GRACE);
    await ringAlarm(relay);
    expect(await announcedHosts(relay, 1)).toEqual([2]);
  });

  test("gives a user who is away the whole grace from then on", async () => {
    const relay = await newMigrating(3);
    const host = await connect(relay, 0);
    const [one, two] = [await connect(relay, 1), await connect(relay, 2)];
    await leave(two);
    await host.control("peer_left");
    advance(10 * GRACE);
    await assignHost(relay.key, relay.id, relay.userTokens[2]);
    advance(GRACE - 1);
    expect(await hostOf(relay)).toBe(2);
    advance(1);
    await ringAlarm(relay);
    // User 0 was closed when another became the host, and has not come back.
    expect(await hostOf(relay)).toBe(1);
    expect(one.open).toBe(true);
  });
});

describe("whoever was connected, and is made the host while they are away, is replaced after the grace", () => {
  test("if another user had become the host, and the network of this one was gone already", async () => {
    const relay = await newMigrating(3);
    await connect(relay, 0, { halfOpen: true });
    await connect(relay, 1);
    await connect(relay, 2);
    await assignHost(relay.key, relay.id, relay.userTokens[1]);
    await evict(relay);
    await assignHost(relay.key, relay.id, relay.userTokens[0]);
    advance(GRACE);
    await ringAlarm(relay);
    expect(await hostOf(relay)).toBe(2);
  });

  test("if others had left just before them", async () => {
    const relay = await newMigrating(4);
    const host = await connect(relay, 0);
    for (const n of [1, 2]) {
      (await connect(relay, n)).close(1000);
      await host.control("peer_left");
    }
    await connect(relay, 3);
    await evict(relay);
    await assignHost(relay.key, relay.id, relay.userTokens[2]);
    await host.closed;
    advance(GRACE);
    await ringAlarm(relay);
    expect(await hostOf(relay)).not.toBe(2);
  });
});

describe("when the object dies with its websockets while the host is connected, the host", () => {
  const died = async (relay: Relay) => {
    await kill(relay.id);
    return connect(relay, 1);
  };

  test("is replaced if they do not come back in the grace", async () => {
    const relay = await newMigrating(2);
    await connect(relay, 0);
    await connect(relay, 1);
    await died(relay);
    // Each of them finds a new object.
    for (let i = 1; i <= 3; i++) {
      expect(await hostOf(relay)).toBe(0);
      await evict(relay);
      advance(GRACE / 3);
    }
    await ringAlarm(relay);
    expect(await hostOf(relay)).toBe(1);
  });

  test("has the whole grace, though they had been away before", async () => {
    const relay = await newMigrating(2);
    await leave(await connect(relay, 0), await connect(relay, 1));
    advance(GRACE / 2);
    await connect(relay, 0);
    advance(GRACE * 10);
    await died(relay);
    expect(await hostOf(relay)).toBe(0);
    advance(GRACE);
    expect(await hostOf(relay)).toBe(1);
  });
});

test("an object that dies in the grace, with its websockets, does not end its session as idle", async () => {
  const relay = await newMigrating(2, { idle_seconds: 300 });
  const host = await connect(relay, 0);
  await leave(host, await connect(relay, 1));
  await kill(relay.id);
  advance(GRACE);
  await ringAlarm(relay);
  expect((await read(relay.key, relay.id)).status).toBe(200);
  // It still ends as idle, 300 seconds after its last use and a quarter more at most.
  advance(375);
  await ringAlarm(relay);
  expect((await read(relay.key, relay.id)).status).toBe(404);
});

test("a player who joins a session without users, and leaves, is replaced like any host", async () => {
  const relay = await newMigrating(0, { join_code: true });
  const code = (await read(relay.key, relay.id)).body.join_code;
  for (let i = 0; i < 2; i++) relay.userTokens.push((await join(code)).body.user_token);
  const host = await connect(relay, 0);
  await leave(host, await connect(relay, 1));
  advance(GRACE);
  expect(await hostOf(relay)).toBe(1);
});

describe("the rows written", () => {
  test("when a host leaves are the counters and the alarm, when it is replaced the state, its row and its event", async () => {
    const relay = await newMigrating(2);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    await settled();
    const left = await rowsOf(() => leave(host, client));
    expect([left.objectWritten, left.d1Written]).toEqual([2, 0]);
    advance(GRACE);
    const replaced = await rowsOf(async () => {
      await ringAlarm(relay);
      await announcedHosts(relay, 1);
    });
    // The alarm is for the end of the session again.
    expect([replaced.objectWritten, replaced.d1Written]).toEqual([1 + 1 + 1, 1]);
  });

  test("when a host connects are the counters, and none when they only replace their websocket", async () => {
    const relay = await newMigrating(2);
    await settled();
    const first = await rowsOf(() => connect(relay, 0));
    expect([first.objectWritten, first.d1Written]).toEqual([1, 0]);
    await evict(relay);
    const again = await rowsOf(() => connect(relay, 0));
    expect([again.objectWritten, again.d1Written]).toEqual([0, 0]);
  });

  test("while the host is there are none, whoever else comes and whatever is sent", async () => {
    const relay = await newMigrating(2);
    const host = await connect(relay, 0);
    await settled();
    const rows = await rowsOf(async () => {
      const client = await connect(relay, 1);
      await client.settle();
      await host.settle();
    });
    expect([rows.objectWritten, rows.d1Written]).toEqual([0, 0]);
  });
});

/** The users who are connected. */
async function connectedOf({ key, id }: Relay): Promise<number[]> {
  const { session_users } = (await read(key, id)).body;
  return session_users.flatMap(({ connected }: { connected: boolean }, n: number) =>
    connected ? n : [],
  );
}
