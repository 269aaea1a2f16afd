/** A full session gives a player who joins the seat of one who joined with the code and is gone. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { advance, stopClockAhead } from "../../support/clock";
import { stubOf } from "../../support/faults";
import { eventRows, eventually } from "../../support/pipeline";
import { type Manner, newLinkedNode } from "../../support/relay-node";
import { rowsOf, settled } from "../../support/rows";
import { anyAddress, authorize, join, read } from "../../support/sessions";
import { connect, createRelay, type Relay, type Socket, tryConnect } from "../../support/socket";

beforeEach(stopClockAhead);
afterEach(() => {
  vi.useRealTimers();
});

interface Joinable extends Relay {
  tenant: Tenant;
  code: string;
}

/** A session with a host of the organisation's, and seats for so many players more. */
async function withSeats(seats: number, more: Record<string, unknown> = {}): Promise<Joinable> {
  const tenant = await newOrganisation();
  const users = [{ ip: "192.0.2.1" }];
  const body = { users, join_code: true, max_users: 1 + seats, idle_seconds: 3_600, ...more };
  const relay = await createRelay(tenant.key, body);
  const code = (await read(tenant.key, relay.id)).body.join_code;
  return { tenant, ...relay, code };
}

/** Lets a player join; their ordinal, with which they connect. */
async function joins(relay: Joinable): Promise<number> {
  const { status, body } = await join(relay.code);
  expect(status).toBe(200);
  return relay.userTokens.push(body.user_token) - 1;
}

async function isFull({ code }: Joinable): Promise<boolean> {
  const { status } = await join(code);
  expect([200, 409]).toContain(status);
  return status === 409;
}

const tokensOf = async ({ key, id }: Relay): Promise<number[]> =>
  (await read(key, id)).body.session_users.map(
    (user: { authorization_token: number }) => user.authorization_token,
  );

/** Leaves, and waits until the host is told. */
async function leaves(socket: Socket, host: Socket): Promise<void> {
  socket.close(1000);
  await socket.closed;
  await host.control("peer_left");
}

describe("the seat of a player who joined", () => {
  test("and has not connected is free after a minute, and no sooner", async () => {
    const relay = await withSeats(1);
    const gone = await joins(relay);
    advance(59.999);
    expect(await isFull(relay)).toBe(true);
    advance(0.001);
    const next = await joins(relay);
    expect(await tokensOf(relay)).toEqual([relay.userTokens[0], relay.userTokens[next]]);
    expect((await tryConnect(relay, gone)).status).toBe(403);
    expect((await tryConnect(relay, next)).status).toBe(101);
  });

  test.each([
    ["120 seconds", undefined, 120],
    ["rejoin_seconds", 600, 600],
    ["no time where rejoin_seconds is 0", 0, 0],
  ])("and left is kept for %s, also over evictions", async (_, rejoin_seconds, seconds) => {
    const relay = await withSeats(1, rejoin_seconds === undefined ? {} : { rejoin_seconds });
    const host = await connect(relay, 0);
    const player = await joins(relay);
    const socket = await connect(relay, player);
    advance(1_000);
    expect(await isFull(relay)).toBe(true);
    await leaves(socket, host);
    await evictDurableObject(stubOf(relay.id));
    if (seconds > 0) {
      advance(seconds - 0.001);
      expect(await isFull(relay)).toBe(true);
      await evictDurableObject(stubOf(relay.id));
      advance(0.001);
    }
    expect(await isFull(relay)).toBe(false);
    expect((await tryConnect(relay, player)).status).toBe(403);
  });

  test("is still theirs when it is free and nobody has taken it", async () => {
    const relay = await withSeats(1);
    const player = await joins(relay);
    advance(3_000);
    await connect(relay, player);
    expect(await isFull(relay)).toBe(true);
  });

  test("is never free while they are connected, also on a socket that the eviction left open", async () => {
    const relay = await withSeats(1, { rejoin_seconds: 0 });
    const socket = await connect(relay, await joins(relay));
    advance(3_000);
    await evictDurableObject(stubOf(relay.id));
    expect(await isFull(relay)).toBe(true);
    expect(socket.open).toBe(true);
  });

  test("counts from the last time that they left", async () => {
    const relay = await withSeats(1);
    const host = await connect(relay, 0);
    const player = await joins(relay);
    await leaves(await connect(relay, player), host);
    advance(119);
    await leaves(await connect(relay, player), host);
    advance(119);
    expect(await isFull(relay)).toBe(true);
    advance(1);
    expect(await isFull(relay)).toBe(false);
  });

  test("goes before the seats of others who left later, and one for each who joins", async () => {
    const relay = await withSeats(3, { rejoin_seconds: 60 });
    const host = await connect(relay, 0);
    const players = [await joins(relay), await joins(relay), await joins(relay)];
    const sockets = [];
    for (const player of players) sockets.push(await connect(relay, player));
    const [first, second, third] = sockets as [Socket, Socket, Socket];
    await leaves(second, host);
    advance(10);
    await leaves(first, host);
    advance(70);
    await joins(relay);
    expect((await tryConnect(relay, players[1] ?? 0)).status).toBe(403);
    await joins(relay);
    expect((await tryConnect(relay, players[0] ?? 0)).status).toBe(403);
    expect(await isFull(relay)).toBe(true);
    expect(third.open).toBe(true);
  });

  test("is not given away while the session has room", async () => {
    const relay = await withSeats(2);
    const player = await joins(relay);
    advance(3_000);
    await joins(relay);
    expect(await tokensOf(relay)).toHaveLength(3);
    expect((await tryConnect(relay, player)).status).toBe(101);
  });

  test("is told to the organisation in one commit with who came, the one who went first", async () => {
    const relay = await withSeats(1);
    // Events of one millisecond, but of two commits, are listed in any order.
    advance(1);
    await joins(relay);
    advance(60);
    await joins(relay);
    const rows = await eventually(async () => {
      const all = await eventRows(relay.tenant);
      expect(all).toHaveLength(4);
      const told = all.map(({ type, data }) => ({ type, session: JSON.parse(data).session }));
      // The clock stands still, and ids of the same moment are in any order.
      return told.sort((a, b) => a.session.version - b.session.version);
    });
    expect(rows.map(({ type, session }) => [type, session.version, session.users.length])).toEqual([
      ["session.active", 1, 1],
      ["session.user_authorized", 2, 2],
      ["session.user_released", 3, 1],
      ["session.user_authorized", 4, 2],
    ]);
  });
});

describe("the seats", () => {
  test("of users whom the organisation has added, and of the host, are never free", async () => {
    const tenant = await newOrganisation();
    const made = await createRelay(tenant.key, {
      join_code: true,
      max_users: 3,
      idle_seconds: 3_600,
    });
    const code = (await read(tenant.key, made.id)).body.join_code;
    const relay = { tenant, ...made, code };
    // The first who joins is the host.
    await joins(relay);
    await authorize(tenant.key, relay.id);
    const player = await joins(relay);
    advance(3_000);
    expect((await authorize(tenant.key, relay.id)).status).toBe(409);
    await joins(relay);
    expect((await tryConnect(relay, player)).status).toBe(403);
    expect((await tryConnect(relay, 0)).status).toBe(101);
    expect(await isFull(relay)).toBe(true);
  });

  test("are not given away by authorize-user", async () => {
    const relay = await withSeats(1);
    const player = await joins(relay);
    advance(3_000);
    expect((await authorize(relay.key, relay.id)).status).toBe(409);
    expect((await tryConnect(relay, player)).status).toBe(101);
  });

  test.each([1, 2, 3])("give one who joins of ten the one that is free (round %i)", async () => {
    const relay = await withSeats(2);
    const socket = await connect(relay, await joins(relay));
    await joins(relay);
    advance(60);
    const answers = await Promise.all(Array.from({ length: 10 }, () => join(relay.code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await tokensOf(relay)).toHaveLength(3);
    expect(socket.open).toBe(true);
  });

  test.each([1, 2, 3])(
    "go to one of two, if their user comes back meanwhile (round %i)",
    async () => {
      const relay = await withSeats(1);
      const player = await joins(relay);
      advance(3_000);
      const [back, joined] = await Promise.all([tryConnect(relay, player), join(relay.code)]);
      expect([
        [101, 409],
        [403, 200],
        // They were let in, and left before the other joined: they had connected, so the seat was theirs still.
      ]).toContainEqual([back.status, joined.status]);
    },
  );

  test("give a repeated join its user again, and 409 after the seat was taken and is in use", async () => {
    const relay = await withSeats(1);
    const name = crypto.randomUUID();
    const once = () =>
      call("POST", "/v1/relays/join", {
        body: { join_code: relay.code },
        headers: { "Idempotency-Key": name },
        ip: anyAddress(),
      });
    const first = await once();
    advance(60);
    expect((await once()).text).toBe(first.text);
    await joins(relay);
    expect((await once()).status).toBe(409);
  });
});

describe("on a relay node, the seat of a player", () => {
  /** A full session on a node, with a player who has joined, and what the node says of them. */
  async function onNode(manner: Manner = {}) {
    const tenant = await newOrganisation();
    const player = { connected: true, bytes_in: 0, bytes_out: 0 };
    await newLinkedNode(tenant.key, {}, { figures: { 1: player }, ...manner });
    const users = [{ ip: "192.0.2.1" }];
    const body = { users, join_code: true, max_users: 2, idle_seconds: 3_600, transport: "udp" };
    const made = await createRelay(tenant.key, body);
    const code = (await read(tenant.key, made.id)).body.join_code;
    const relay = { tenant, ...made, code };
    await joins(relay);
    return { relay, player };
  }

  test("is not free while the node hears them, and is a minute after the join if it never did", async () => {
    const { relay, player } = await onNode();
    advance(3_000);
    expect(await isFull(relay)).toBe(true);
    player.connected = false;
    expect(await isFull(relay)).toBe(false);
  });

  test("is kept for rejoin_seconds from when they were first found gone, also over an eviction", async () => {
    const { relay, player } = await onNode();
    Object.assign(player, { connected: false, bytes_in: 10 });
    advance(3_000);
    expect(await isFull(relay)).toBe(true);
    await evictDurableObject(stubOf(relay.id));
    advance(119.999);
    expect(await isFull(relay)).toBe(true);
    advance(0.001);
    expect(await isFull(relay)).toBe(false);
  });

  test("is kept anew if they were back since they were found gone", async () => {
    const { relay, player } = await onNode();
    Object.assign(player, { connected: false, bytes_in: 10 });
    expect(await isFull(relay)).toBe(true);
    player.bytes_in = 20;
    advance(3_000);
    expect(await isFull(relay)).toBe(true);
    advance(120);
    expect(await isFull(relay)).toBe(false);
  });

  test("is not free if the node does not say whether they are there", async () => {
    const { relay } = await onNode({ mute: ["figures"] });
    advance(3_000);
    expect(await isFull(relay)).toBe(true);
  });

  test("is not free while they are on a websocket", async () => {
    const { relay, player } = await onNode();
    player.connected = false;
    await connect(relay, 1);
    advance(3_000);
    expect(await isFull(relay)).toBe(true);
  });
});

describe("the rows written", () => {
  test("by a join into a seat that is free are the state, its row, and two events", async () => {
    const relay = await withSeats(1);
    await joins(relay);
    await settled();
    advance(60);
    const rows = await rowsOf(async () => {
      await joins(relay);
      await settled();
    });
    expect([rows.objectWritten, rows.d1Written]).toEqual([1 + 2, 1]);
  });

  test("by a player who leaves are the counters, at most every 5 seconds for each player", async () => {
    const relay = await withSeats(2);
    const host = await connect(relay, 0);
    const [one, two] = [await joins(relay), await joins(relay)];
    const sockets = [await connect(relay, one), await connect(relay, two)] as const;
    await settled();
    const left = await rowsOf(async () => {
      await leaves(sockets[0], host);
      await leaves(sockets[1], host);
      await leaves(await connect(relay, one), host);
    });
    expect([left.objectWritten, left.d1Written]).toEqual([2, 0]);
  });

  test("by a join into a full session without a free seat are none", async () => {
    const relay = await withSeats(1);
    await joins(relay);
    await settled();
    const rows = await rowsOf(async () => expect(await isFull(relay)).toBe(true));
    expect([rows.objectWritten, rows.d1Written]).toEqual([0, 0]);
  });
});

test("of players whose seat was taken nothing is kept: a session may have any number of them", async () => {
  const relay = await withSeats(1, { rejoin_seconds: 0 });
  const host = await connect(relay, 0);
  for (let round = 1; round <= 3; round++) {
    const n = await joins(relay);
    await leaves(await connect(relay, n), host);
    advance(6);
  }
  const kept = await runInDurableObject(relay.stub, (_, { storage }) =>
    storage.kv.get<Map<number, unknown>>("traffic"),
  );
  expect([...(kept?.keys() ?? [])]).toEqual([0, 3]);
});
