/** A relay session on a relay node, from its create to its end, with a node that speaks the link's protocol. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { DomainEvent } from "../../src/events/event";
import { RelayNodeObject } from "../../src/relay-nodes/object";
import type { SessionEventData } from "../../src/session/session";
import { call, newOrganisation } from "../support/client";
import { stubOf } from "../support/faults";
import { recordedIn } from "../support/journals";
import { eventually, newMailbox } from "../support/pipeline";
import { link, NODES, newLinkedNode, nodeStub } from "../support/relay-node";
import { authorize, create, join, list, read, remove, revoke } from "../support/sessions";
import { connect, createRelay } from "../support/socket";

afterEach(() => {
  vi.restoreAllMocks();
});

const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };

describe("a relay session of an organisation with a relay node", () => {
  test("is READY in the create's answer, with the node's ports in the vendor's shape and our websockets beside them", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { status, body } = await create(key, two);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "READY", ready: true, linked: true, error: null });
    expect(body.relay).toEqual({
      ip: "203.0.113.7",
      host: "play.example.com",
      ports: {
        server: { port: 7001, protocol: "UDP", link: "play.example.com:7001" },
        client: { port: 7002, protocol: "UDP", link: "play.example.com:7002" },
      },
      websocket: {
        server: {
          port: 8787,
          protocol: "WS",
          link: `ws://localhost:8787/v1/relays/sessions/${body.session_id}/server`,
        },
        client: {
          port: 8787,
          protocol: "WS",
          link: `ws://localhost:8787/v1/relays/sessions/${body.session_id}/client`,
        },
      },
    });
    const { session } = await node.next("assign");
    expect(session).toEqual({
      id: body.session_id,
      token: body.authorization_token,
      idle_seconds: 300,
      expires_at: Date.parse(body.expires_at),
      users: body.session_users.map((user: { authorization_token: number }, n: number) => ({
        n,
        token: user.authorization_token,
        gated: false,
      })),
      permissions: null,
      trunk: false,
    });
    expect((await list(key)).body.sessions[0].relay).toEqual(body.relay);
    expect((await read(key, body.session_id)).body.relay).toEqual(body.relay);
  });

  test("shows what the node has counted of each user", async () => {
    const { key } = await newOrganisation();
    await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    const { session_users } = (await read(key, id)).body;
    expect(session_users).toMatchObject([
      { connected: true, bytes_in: 100, bytes_out: 200, frames_dropped: 0 },
      { connected: true, bytes_in: 101, bytes_out: 201, frames_dropped: 1 },
    ]);
  });

  test("shows null for the figures that the node does not tell in time", async () => {
    const { key } = await newOrganisation();
    await newLinkedNode(key, {}, { mute: ["figures"] });
    const { session_id: id } = (await create(key, two)).body;
    const [user] = (await read(key, id)).body.session_users;
    expect(user).toMatchObject({ connected: null, bytes_in: null, frames_dropped: null });
  });

  test("shows null when the node's object does not answer either, before that is asked a second time", async () => {
    const { key } = await newOrganisation();
    await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    const figures = vi.spyOn(RelayNodeObject.prototype, "figures");
    figures.mockImplementation(() => new Promise<never>(() => undefined));
    const { status, body } = await read(key, id);
    // It is asked again after three seconds.
    expect([status, body.session_users[0].bytes_in, figures.mock.calls.length]).toEqual([
      200,
      null,
      1,
    ]);
  });

  test("has each user known to the node before they are told of it, and none any more before a revocation is answered", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id, join_code } = (await create(key, { ...two, join_code: true })).body;
    const users = () => node.sessions.get(id)?.users.map(({ token }) => token);
    const { session_user: added } = (await authorize(key, id)).body;
    expect(users()).toContain(added.authorization_token);
    const joined = (await join(join_code)).body;
    expect(joined.udp).toEqual({ host: "play.example.com", port: 7002 });
    expect(joined.link).toBe(`ws://localhost:8787/v1/relays/sessions/${id}/client`);
    expect(users()).toContain(joined.user_token);
    const revoked = await revoke(key, id, added.authorization_token);
    expect(revoked.body.effective_by).toBeUndefined();
    expect(users()).not.toContain(added.authorization_token);
    expect(users()).toHaveLength(3);
  });

  test("is taken off the node before its DELETE is answered", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    expect((await remove(key, id)).status).toBe(204);
    expect(node.sessions.has(id)).toBe(false);
    expect(await node.next("end")).toMatchObject({ id, reason: "organisation" });
  });

  test("ends when the node says that nobody was heard, and nobody has used it otherwise", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, { ...two, idle_seconds: 10 })).body;
    node.send({ type: "silent", id });
    expect(await node.next("end")).toMatchObject({ id, reason: "api" });
    await eventually(async () => expect((await read(key, id)).status).toBe(404));
  });

  test("stays when the node says so while somebody reads it, or is on a websocket", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const polled = (await create(key, two)).body.session_id;
    await read(key, polled);
    const played = await createRelay(key, two);
    await connect(played, 0);
    for (const id of [polled, played.id]) node.send({ type: "silent", id });
    // What is said after these has been handled after them.
    const third = (await create(key, two)).body.session_id;
    node.send({ type: "silent", id: third });
    expect(await node.next("end")).toMatchObject({ id: third });
    expect([...node.sessions.keys()].sort()).toEqual([polled, played.id].sort());
  });

  test("is given to the node again after both objects were evicted and the node has linked again", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    const before = node.sessions.get(id);
    node.close();
    await node.closed;
    await evictDurableObject(nodeStub(node.id));
    await evictDurableObject(stubOf(id));
    const again = await link(node, { hello: { sessions: [id, "ffffffffffff-S"] } });
    expect((await again.next("assign")).session).toEqual(before);
    expect(await again.next("end")).toMatchObject({ id: "ffffffffffff-S" });
    expect((await read(key, id)).body.session_users[0].connected).toBe(true);
  });
});

describe("a create", () => {
  test("passes over a node that does not answer, and one that refuses", async () => {
    const { key } = await newOrganisation();
    const mute = await newLinkedNode(
      key,
      {},
      { mute: ["assign"], hello: { host: "mute.example" } },
    );
    const full = await newLinkedNode(key, {}, { refuses: "full", hello: { host: "full.example" } });
    const good = await newLinkedNode(key, {}, { hello: { host: "good.example" } });
    const { session_id: id } = (await create(key, two)).body;
    await eventually(async () => {
      const { body } = await read(key, id);
      expect(body).toMatchObject({ status: "READY", relay: { host: "good.example" } });
    });
    expect(good.sessions.has(id)).toBe(true);
    expect([mute.sessions.size, full.sessions.size]).toEqual([0, 0]);
  });

  test("is Initializing while no node has answered, and fails when none does", async () => {
    const { id: tenantId, key } = await newOrganisation();
    const slow = await newLinkedNode(key, {}, { mute: ["assign"] });
    const second = await newLinkedNode(key, {}, { mute: ["assign"] });
    const { body } = await create(key, two);
    expect(body).toMatchObject({
      status: "Initializing",
      ready: false,
      linked: false,
      relay: null,
    });
    await eventually(async () => {
      expect((await read(key, body.session_id)).status).toBe(404);
    });
    // They are recorded behind the answers.
    await eventually(async () => {
      const recorded = (await recordedIn(tenantId))
        .map(({ event }) => [event.type, (event as DomainEvent<SessionEventData>).data.session])
        .filter(([, session]) => session !== undefined);
      expect(recorded).toMatchObject([
        ["session.created", { id: body.session_id }],
        ["session.failed", { id: body.session_id, error: "no-relay-node" }],
      ]);
      expect([slow.sessions.size, second.sessions.size]).toEqual([0, 0]);
    });
  });

  test("is Initializing in the answer when the first two nodes do not answer, and READY when the third has it, without a user who was revoked meanwhile", async () => {
    const { key } = await newOrganisation();
    for (let i = 0; i < 2; i++) await newLinkedNode(key, {}, { mute: ["assign"] });
    const third = await newLinkedNode(key);
    await eventually(async () => {
      const { body } = await call("GET", `${NODES}/${third.id}`, { key });
      expect(body.status).toBe("online");
    });
    // The least loaded nodes are asked first.
    await env.DB.prepare("update relay_nodes set fill = 0.5 where id = ?").bind(third.id).run();
    const { body } = await create(key, two);
    expect(body).toMatchObject({ status: "Initializing", linked: false, relay: null });
    const { session_id: id, session_users } = body;
    expect((await read(key, id)).body.status).toBe("Initializing");
    expect((await list(key)).body.sessions[0].status).toBe("Initializing");
    expect((await authorize(key, id)).status).toBe(409);
    await revoke(key, id, session_users[1].authorization_token);
    await eventually(async () => {
      expect((await read(key, id)).body).toMatchObject({ status: "READY", linked: true });
    });
    expect(third.sessions.get(id)?.users.map(({ n }) => n)).toEqual([0]);
  });

  test("fails at once where every node drains", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    node.send({ type: "draining" });
    await eventually(async () => {
      const { body } = await create(key, two);
      expect(body).toMatchObject({ status: "Error", error: "no-relay-node", relay: null });
    });
    expect(node.sessions.size).toBeLessThan(2);
  });

  test("makes a session of websockets where there is no node, or the caller wants that; and is 503 where they insist on one", async () => {
    const { key } = await newOrganisation();
    const without = (await create(key, two)).body;
    expect(without.relay.ports.server.protocol).toBe("WS");
    const insisting = await create(key, { ...two, transport: "udp" });
    expect(insisting.status).toBe(503);
    expect(insisting.headers.get("Retry-After")).toBe("5");
    await newLinkedNode(key);
    const wanted = (await create(key, { ...two, transport: "websocket" })).body;
    expect(wanted.relay.ports.server.protocol).toBe("WS");
    const native = (await create(key, { ...two, transport: "udp" })).body;
    expect(native.relay.ports.server.protocol).toBe("UDP");
    expect((await create(key, { transport: "tcp" })).status).toBe(400);
  });

  test("takes an organisation's own node before a shared one, and never another organisation's", async () => {
    const [tenant, other] = [await newOrganisation(), await newOrganisation()];
    const shared = await newLinkedNode(env.DRAWBRIDGE_ROOT_TOKEN);
    const own = await newLinkedNode(tenant.key);
    const foreign = await newLinkedNode((await newOrganisation()).key);
    await create(tenant.key, two);
    await create(other.key, two);
    expect([own.sessions.size, shared.sessions.size, foreign.sessions.size]).toEqual([1, 1, 0]);
    shared.send({ type: "leaving" });
    await shared.closed;
  });
});

describe("the webhook_url of a session", () => {
  test("hears that a node has taken it, with the node's ports, and that the node is gone", async () => {
    const { key } = await newOrganisation();
    const mailbox = newMailbox();
    const node = await newLinkedNode(key);
    const { body } = await create(key, { ...two, webhook_url: mailbox.url });
    node.send({ type: "leaving" });
    await node.closed;
    await eventually(async () => {
      await runDurableObjectAlarm(nodeStub(node.id));
      const bodies = (await mailbox.requests()).map((request) => JSON.parse(request.body));
      expect(bodies).toMatchObject([
        { status: "READY", linked: true, relay: body.relay },
        { status: "Error", linked: false, error: "relay-node-lost", relay: body.relay },
      ]);
    });
  });

  test("hears that no node took it", async () => {
    const { key } = await newOrganisation();
    const mailbox = newMailbox();
    await newLinkedNode(key, {}, { refuses: "full" });
    await create(key, { ...two, webhook_url: mailbox.url });
    await eventually(async () => {
      const bodies = (await mailbox.requests()).map((request) => JSON.parse(request.body));
      expect(bodies).toMatchObject([{ status: "Error", error: "no-relay-node", relay: null }]);
    });
  });
});
