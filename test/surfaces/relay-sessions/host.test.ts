/** The organisation makes another user the host of a relay session. */
import { evictDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { PermissionGate } from "../../../src/relay/permission-gate";
import { Announcer } from "../../../src/session-object/announcer";
import { newOrganisation } from "../../support/client";
import { stubOf } from "../../support/faults";
import { newConnectedRelay } from "../../support/permissions";
import { eventRows, eventually } from "../../support/pipeline";
import { newLinkedNode } from "../../support/relay-node";
import { rowsOf } from "../../support/rows";
import {
  assignHost,
  authorize,
  create,
  join,
  list,
  read,
  remove,
  revoke,
} from "../../support/sessions";
import {
  connect,
  createRelay,
  fromClient,
  newRelay,
  type Relay,
  revokeUser,
  tryConnect,
  upgrade,
  v1,
  withId,
} from "../../support/socket";

/** The ordinals of the users who are shown as the host. */
async function hostsOf({ key, id }: Pick<Relay, "key" | "id">): Promise<number[]> {
  const { session_users } = (await read(key, id)).body;
  return session_users.flatMap(({ is_host }: { is_host: boolean }, n: number) =>
    is_host ? n : [],
  );
}

/** A relay session with so many users, and the organisation that owns it. */
async function relayOf(users: number) {
  const tenant = await newOrganisation();
  const body = { users: Array.from({ length: users }, () => ({ ip: "192.0.2.1" })) };
  return { tenant, relay: await createRelay(tenant.key, body) };
}

const assign = (relay: Relay, n: number) => assignHost(relay.key, relay.id, relay.userTokens[n]);

describe("assign-host", () => {
  test("makes another user the host, and shows it in its answer, a read and the list", async () => {
    const relay = await newRelay(3);
    expect(await hostsOf(relay)).toEqual([0]);
    const { status, body } = await assign(relay, 2);
    expect(status).toBe(200);
    const isHost = ({ is_host }: { is_host: boolean }) => is_host;
    expect(body.session_users.map(isHost)).toEqual([false, false, true]);
    expect(await hostsOf(relay)).toEqual([2]);
    expect((await list(relay.key)).body.sessions[0].session_users.map(isHost)).toEqual([
      false,
      false,
      true,
    ]);
  });

  test("closes the host before with 4503, and lets both in on the other link then", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await assign(relay, 1);
    expect(await host.closed).toMatchObject({ code: 4503 });
    expect(client.open).toBe(true);
    expect((await tryConnect(relay, 0)).status).toBe(403);
    expect((await tryConnect(relay, 0, { side: "client" })).status).toBe(101);
    client.close(1000);
    await client.closed;
    expect((await tryConnect(relay, 1)).status).toBe(403);
    expect((await tryConnect(relay, 1, { side: "server" })).status).toBe(101);
  });

  test("turns away who was on their way to the link that was theirs, so that no frame is read wrongly", async () => {
    const relay = await newConnectedRelay("host", "client");
    const ensureInD1 = vi.spyOn(Announcer.prototype, "ensureInD1");
    const d1 = Promise.withResolvers<boolean>();
    ensureInD1.mockImplementation(() => d1.promise);
    const asks = [tryConnect(relay, 0), tryConnect(relay, 1), tryConnect(relay, 0, v1(relay, 0))];
    await eventually(async () => expect(ensureInD1).toHaveBeenCalledTimes(3));
    await assign(relay, 1);
    d1.resolve(true);
    const statuses = (await Promise.all(asks)).map(({ status }) => status);
    ensureInD1.mockRestore();
    expect(statuses).toEqual([403, 403, 101]);
  });

  test("changes nothing in the order of a client's frames, though the first had to wait for permissions", async () => {
    const relay = await newConnectedRelay("host", "client", null);
    await connect(relay, 0);
    const [client, next] = [await connect(relay, 1), await connect(relay, 2)];
    await evictDurableObject(stubOf(relay.id));
    const refresh = vi.spyOn(PermissionGate.prototype, "refresh");
    const read = Promise.withResolvers<boolean>();
    refresh.mockImplementation(() => read.promise);
    client.send(...fromClient(1));
    await eventually(async () => expect(refresh).toHaveBeenCalled());
    await assign(relay, 2);
    client.send(...fromClient(2));
    expect(await next.settle()).toEqual([]);
    read.resolve(true);
    expect([await next.frame(), await next.frame()]).toEqual([withId(1, 1), withId(1, 2)]);
    refresh.mockRestore();
  });

  test("holds after the object was evicted, and can be taken back", async () => {
    const relay = await newRelay(2);
    await assign(relay, 1);
    await evictDurableObject(stubOf(relay.id));
    expect(await hostsOf(relay)).toEqual([1]);
    await assign(relay, 0);
    expect(await hostsOf(relay)).toEqual([0]);
  });

  test("gives a session a host again whose host was revoked", async () => {
    const relay = await newRelay(2);
    await revokeUser(relay, 0);
    expect(await hostsOf(relay)).toEqual([]);
    expect((await assign(relay, 1)).status).toBe(200);
    expect(await hostsOf(relay)).toEqual([0]);
    expect((await tryConnect(relay, 1, { side: "server" })).status).toBe(101);
  });

  test("decides which link a player who joins gets", async () => {
    const { key } = await newOrganisation();
    const { body } = await create(key, { users: [{ ip: "192.0.2.1" }], join_code: true });
    const first = (await join(body.join_code)).body;
    await assignHost(key, body.session_id, first.user_token);
    expect((await join(body.join_code)).body.link).toMatch(/\/client$/);
    expect(await hostsOf({ key, id: body.session_id })).toEqual([1]);
  });

  test("changes nothing for who is the host already: no event and no row", async () => {
    const { tenant, relay } = await relayOf(2);
    await assign(relay, 1);
    await eventually(async () => expect(await eventRows(tenant)).toHaveLength(2));
    const rows = await rowsOf(async () => expect((await assign(relay, 1)).status).toBe(200));
    expect([rows.objectWritten, rows.d1Written]).toEqual([0, 0]);
  });

  test("is refused for a token of nobody, a session of others, and one that has ended", async () => {
    const relay = await newRelay(2);
    const stranger = await newOrganisation();
    expect((await assignHost(relay.key, relay.id, 1)).status).toBe(404);
    expect((await assignHost(relay.key, relay.id, relay.sessionToken)).status).toBe(404);
    expect((await assignHost(stranger.key, relay.id, relay.userTokens[1])).status).toBe(404);
    await revoke(relay.key, relay.id, relay.userTokens[1]);
    expect((await assign(relay, 1)).status).toBe(404);
    expect(await hostsOf(relay)).toEqual([0]);
    await remove(relay.key, relay.id);
    expect((await assign(relay, 0)).status).toBe(409);
  });

  test("is refused on a relay node, where a port says who is the host", async () => {
    const { key } = await newOrganisation();
    await newLinkedNode(key);
    const users = [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }];
    const { body } = await create(key, { users, transport: "udp" });
    expect(body.status).toBe("READY");
    const token = body.session_users[1].authorization_token;
    const refused = await assignHost(key, body.session_id, token);
    expect(refused.status).toBe(409);
    expect(refused.body.message).toMatch(/relay node/);
    expect(await hostsOf({ key, id: body.session_id })).toEqual([0]);
  });
});

describe("assign-host at the same moment as", () => {
  test.each([1, 2, 3])("others leaves one host, who was named last (round %i)", async () => {
    const { tenant, relay } = await relayOf(6);
    const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => assign(relay, n)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const events = await eventually(async () => {
      const rows = (await eventRows(tenant)).filter(({ type }) => type === "session.host_changed");
      expect(rows).toHaveLength(5);
      return rows.map(({ data }) => JSON.parse(data).session);
    });
    const last = events.sort((a, b) => a.version - b.version).at(-1);
    expect(await hostsOf(relay)).toEqual([last.host]);
  });

  test.each([1, 2, 3])(
    "the host before connects lets them stay in no way as the host (round %i)",
    async () => {
      const relay = await newRelay(2);
      await connect(relay, 1);
      const [entering] = await Promise.all([upgrade(relay, 0), assign(relay, 1)]);
      expect(await hostsOf(relay)).toEqual([1]);
      const { webSocket } = entering;
      if (!webSocket) {
        expect(entering.status).toBe(403);
        return;
      }
      const closed = new Promise<number>((resolve) => {
        webSocket.addEventListener("close", ({ code }) => resolve(code));
      });
      webSocket.accept();
      expect(await closed).toBe(4503);
    },
  );

  test("the revocation of the user leaves the session without a host, or with the one before", async () => {
    const relay = await newRelay(3);
    const [assigned, revoked] = await Promise.all([assign(relay, 1), revokeUser(relay, 1)]);
    expect(revoked.status).toBe(200);
    expect(await hostsOf(relay)).toEqual(assigned.status === 200 ? [] : [0]);
    expect((await assign(relay, 2)).status).toBe(200);
    expect(await hostsOf(relay)).toEqual([1]);
  });

  test("its end is an end", async () => {
    const relay = await newRelay(2);
    await Promise.all([assign(relay, 1), remove(relay.key, relay.id)]);
    expect((await read(relay.key, relay.id)).status).toBe(404);
    expect((await assign(relay, 1)).status).toBe(409);
  });

  test("a new user is added changes nothing for either", async () => {
    const relay = await newRelay(2);
    const [, added] = await Promise.all([assign(relay, 1), authorize(relay.key, relay.id)]);
    expect(added.body.session_user.is_host).toBe(false);
    expect(await hostsOf(relay)).toEqual([1]);
  });
});

describe("a create", () => {
  test.each([
    [{ host_migration: "newest" }],
    [{ host_migration: true }],
    [{ host_migration: "oldest", transport: "udp" }],
    [{ host_grace_seconds: 0 }],
    [{ host_grace_seconds: 301 }],
    [{ host_grace_seconds: 1.5 }],
    [{ rejoin_seconds: -1 }],
    [{ rejoin_seconds: 3_601 }],
  ])("with %j is refused", async (body) => {
    const { key } = await newOrganisation();
    const refused = await create(key, body);
    expect(refused.status).toBe(400);
    expect(refused.body.message).toMatch(/host_migration|host_grace_seconds|rejoin_seconds/);
  });

  test.each([
    [
      { host_migration: null, host_grace_seconds: null, rejoin_seconds: null, transport: "udp" },
      503,
    ],
    [{ host_migration: "oldest", host_grace_seconds: 300, rejoin_seconds: 0 }, 200],
    [{ host_migration: "oldest", transport: "websocket", host_grace_seconds: 1 }, 200],
  ])("with %j is answered %i", async (body, status) => {
    const { key } = await newOrganisation();
    expect((await create(key, body)).status).toBe(status);
  });

  test("with host_migration takes no relay node, even where one is online", async () => {
    const { key } = await newOrganisation();
    await newLinkedNode(key);
    const { body } = await create(key, { host_migration: "oldest" });
    expect(body.relay.ports.server.protocol).toBe("WS");
  });
});
