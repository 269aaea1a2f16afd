/**
 * Relay sessions over real UDP sockets, on a relay node that is linked to the Worker as it is deployed: once
 * on a node that forwards itself, and once on one with two workers.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { RelayNode } from "../../relay-node/relay-node";
import { buildRelayNode } from "../../scripts/build-relay-node.mjs";
import { Api } from "../support/api";
import { eventually } from "../support/eventually";
import { NativePlayer, startLinkedNode, toClient, toHost } from "../support/native-game";
import { startServer, type TestServer } from "../support/server";

let server: TestServer;
const players: NativePlayer[] = [];

beforeAll(async () => {
  await buildRelayNode();
  server = await startServer();
});

afterAll(() => server?.close());

afterEach(() => {
  for (const player of players.splice(0)) player.close();
});

describe.each([1, 2])("on a node with --workers %i,", (workers) => {
  let api: Api;
  let node: RelayNode;
  let nodeId: string;

  beforeAll(async () => {
    const { api_key } = await server.newOrganisation("Native");
    api = new Api(server, api_key.token);
    const made = await api.newNode();
    nodeId = made.id;
    node = await startLinkedNode(server.origin, made.token, { workers });
  });

  afterAll(() => node?.stop());

  /** A session of so many users, each with a UDP socket that has sent nothing yet. */
  async function game(users: number, more: object = {}) {
    const { status, body: session } = await api.create(users, more);
    expect(status).toBe(200);
    const all = await Promise.all(
      Array.from({ length: users }, (_, n) => NativePlayer.of(session, n)),
    );
    players.push(...all);
    const [host, anna, ben] = all as [NativePlayer, NativePlayer, NativePlayer];
    return { session, all, host, anna, ben };
  }

  /** Waits until every worker knows where this player is: one message after it was heard. */
  async function isKnown(session: { session_id: string }, { n, peer }: NativePlayer) {
    await eventually(() =>
      expect(node.forwarder.table.get(session.session_id)?.user(n)).toMatchObject({
        connected: true,
        port: peer.localPort,
      }),
    );
    await new Promise<void>((done) => node.forwarder.whenDone(done));
  }

  describe("a session on a relay node", () => {
    test("is READY in the answer, with the node's ports in the vendor's shape", async () => {
      const { session } = await game(2);
      const { server: hostPort, client: clientPort } = node.ports;
      expect(session).toMatchObject({ status: "READY", ready: true, linked: true });
      expect(session.relay).toMatchObject({
        ip: "127.0.0.1",
        host: "127.0.0.1",
        ports: {
          server: { port: hostPort, protocol: "UDP", link: `127.0.0.1:${hostPort}` },
          client: { port: clientPort, protocol: "UDP", link: `127.0.0.1:${clientPort}` },
        },
      });
    });

    test("carries every byte in both directions, and data connects before any ping", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await isKnown(session, host);
      const payload = Buffer.from(Array.from({ length: 1_200 }, (_, i) => (i * 31) % 256));
      await anna.toHost(payload);
      expect(await host.peer.next()).toEqual(toHost(1, payload));
      await isKnown(session, anna);
      await host.toClient(1, payload);
      expect(await anna.peer.next()).toEqual(toClient(payload));
    });

    test("has many users, each with a connection id that the host sees", async () => {
      const { session, host, all } = await game(64, { max_users: 64 });
      await host.state(2);
      await isKnown(session, host);
      for (const player of all.slice(1)) {
        await player.toHost(`I am ${player.n}`);
        expect(await host.peer.next()).toEqual(toHost(player.n, `I am ${player.n}`));
        await isKnown(session, player);
        await host.toClient(player.n, `hello ${player.n}`);
        expect(await player.peer.next()).toEqual(toClient(`hello ${player.n}`));
      }
    });

    test("has one port for its host and one for all others", async () => {
      const { session, host, anna } = await game(2);
      const swapped = {
        ...session,
        relay: {
          ports: { server: session.relay.ports.client, client: session.relay.ports.server },
        },
      };
      for (const n of [0, 1]) {
        const player = await NativePlayer.of(swapped, n);
        players.push(player);
        await player.state(3);
      }
      await host.state(2);
      await anna.state(2);
    });

    test("finds a user at another address with its next datagram", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await anna.state(2);
      await isKnown(session, host);
      await anna.moves();
      await anna.toHost("from elsewhere");
      expect(await host.peer.next()).toEqual(toHost(1, "from elsewhere"));
      await isKnown(session, anna);
      await host.toClient(1, "there");
      expect(await anna.peer.next()).toEqual(toClient("there"));
    });

    test("tells clients that the host was there and is gone", async () => {
      const { host, anna } = await game(2);
      await anna.state(2);
      await host.state(2);
      host.close();
      await anna.state(4);
    });

    test("keeps each user to the relay's limits, drops what is over them, and disconnects nobody", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await anna.state(2);
      for (let i = 0; i < 3_000; i++) await anna.toHost("x");
      await eventually(async () => {
        const { body } = await api.read(session.session_id);
        expect(body.session_users[1].frames_dropped).toBeGreaterThan(0);
      });
      await eventually(async () => {
        await anna.toHost("after it");
        expect(host.peer.received).toContainEqual(toHost(1, "after it"));
      });
    });

    test("passes between connections only what relay permissions allow, and learns of a change", async () => {
      for (const connectionId of ["host-side", "client-side"]) {
        await api.call("POST", "/api/v2/connections/definition", { connectionId });
      }
      const { status, body: session } = await api.call("POST", "/v1/relays/sessions", {
        users: [
          { ip: "198.51.100.1", connection_id: "host-side" },
          { ip: "198.51.100.2", connection_id: "client-side" },
        ],
      });
      expect(status).toBe(200);
      const host = await NativePlayer.of(session, 0);
      const anna = await NativePlayer.of(session, 1);
      players.push(host, anna);
      await host.state(2);
      await anna.toHost("not allowed");
      await eventually(async () => {
        const { body } = await api.read(session.session_id);
        expect(body.session_users[1].frames_dropped).toBe(1);
      });
      for (const [connectionId, remoteConnectionId, direction] of [
        ["client-side", "host-side", "send"],
        ["host-side", "client-side", "receive"],
      ]) {
        const body = { connectionId, remoteConnectionId, direction, enabled: "true" };
        const made = await api.call("POST", "/api/v2/relay/permission", body);
        expect(made.status).toBe(201);
      }
      await eventually(async () => {
        await anna.toHost("allowed");
        expect(host.peer.received).toContainEqual(toHost(1, "allowed"));
      });
      await host.toClient(1, "the other way is not");
      await eventually(async () => {
        const { body } = await api.read(session.session_id);
        expect(body.session_users[0].frames_dropped).toBe(1);
      });
    });

    test("lets a user who was authorised later play at once", async () => {
      const { session, host } = await game(1);
      await host.state(2);
      const { body } = await api.call("POST", "/v1/relays/sessions:authorize-user", {
        session_id: session.session_id,
        user_ip: "198.51.100.9",
      });
      const shown = { ...session, session_users: [session.session_users[0], body.session_user] };
      const anna = await NativePlayer.of(shown, 1);
      players.push(anna);
      await isKnown(session, host);
      await anna.toHost("late");
      expect(await host.peer.next()).toEqual(toHost(1, "late"));
    });

    test("has let go of a revoked user before the revocation is answered", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await anna.state(2);
      const { status, body } = await api.revoke(session.session_id, anna.token);
      expect(status).toBe(200);
      expect(body.effective_by).toBeUndefined();
      expect(node.forwarder.table.get(session.session_id)?.user(1)).toBeUndefined();
      await anna.state(3);
    });

    test("is gone from the node before its DELETE is answered", async () => {
      const { session, host } = await game(2);
      await host.state(2);
      expect((await api.end(session.session_id)).status).toBe(204);
      expect(node.forwarder.table.get(session.session_id)).toBeUndefined();
      await host.state(3);
    });

    test("shows what its users have sent and received", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await isKnown(session, host);
      await anna.toHost("12345");
      await host.peer.next();
      await isKnown(session, anna);
      await host.toClient(1, "123");
      await anna.peer.next();
      const { body } = await api.read(session.session_id);
      expect(body.session_users).toMatchObject([
        { connected: true, bytes_in: 3, bytes_out: 5, frames_dropped: 0 },
        { connected: true, bytes_in: 5, bytes_out: 3, frames_dropped: 0 },
      ]);
    });

    test("goes on when the clock of the node's machine jumps", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await anna.state(2);
      await isKnown(session, host);
      vi.useFakeTimers({ toFake: ["Date"] });
      try {
        for (const days of [1, -2]) {
          vi.setSystemTime(Date.now() + days * 86_400_000);
          await anna.toHost(`${days}`);
          expect(await host.peer.next()).toEqual(toHost(1, `${days}`));
          await anna.state(2);
        }
      } finally {
        vi.useRealTimers();
      }
    });

    test("is counted in what the node shows of itself", async () => {
      const { host } = await game(2);
      await host.state(2);
      const { body } = await api.call("GET", `/v1/relay-nodes/${nodeId}`);
      expect(body).toMatchObject({
        status: "online",
        version: "0.0.0-test",
        host: "127.0.0.1",
        ports: node.ports,
        load: { sessions: node.forwarder.table.sessionCount },
      });
      expect(JSON.stringify(body)).not.toContain("drbn_");
    });
  });

  describe("a session with native and browser users", () => {
    async function browser(session: Session, n: number): Promise<Browser> {
      const { server, client } = session.relay.websocket;
      const url = new URL((n === 0 ? server : client).link);
      url.searchParams.set("session_token", String(session.authorization_token));
      url.searchParams.set("user_token", String(session.session_users[n].authorization_token));
      const socket = new WebSocket(url.href);
      socket.binaryType = "arraybuffer";
      const frames: Buffer[] = [];
      const texts: string[] = [];
      socket.addEventListener("message", ({ data }) => {
        if (typeof data === "string") texts.push(data);
        else frames.push(Buffer.from(data as ArrayBuffer));
      });
      await eventually(() => expect(texts[0]).toContain("ready"));
      // A socket that never sent anything is closed ten seconds late (workerd, November 2026).
      socket.send(Buffer.of(1));
      return { socket, frames, texts };
    }
    // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
    type Session = any;
    interface Browser {
      socket: WebSocket;
      frames: Buffer[];
      texts: string[];
    }

    test("lets a browser play with a native host, and the native host with a browser", async () => {
      const { session, host, anna } = await game(3);
      await host.state(2);
      const ben = await browser(session, 2);
      // The trunk opens now: until it is there, frames are dropped like any datagram.
      await eventually(async () => {
        ben.socket.send(toClient("from the browser"));
        const got = host.peer.received.splice(0);
        expect(got[0]).toEqual(toHost(2, "from the browser"));
      });
      await host.toClient(2, "to the browser");
      await eventually(() => expect(ben.frames).toContainEqual(toClient("to the browser")));
      expect(ben.texts).toContainEqual('{"type":"host_joined"}');
      await anna.toHost("native beside it");
      await eventually(() =>
        expect(host.peer.received).toContainEqual(toHost(1, "native beside it")),
      );
      ben.socket.close();
    });

    test("reaches a user where it was heard last, in the browser or over UDP", async () => {
      const { session, host, anna } = await game(2);
      await host.state(2);
      await anna.state(2);
      const inBrowser = await browser(session, 1);
      await eventually(async () => {
        await host.toClient(1, "in the browser?");
        expect(inBrowser.frames).toContainEqual(toClient("in the browser?"));
      });
      let closedWith = 0;
      inBrowser.socket.addEventListener("close", ({ code }) => {
        closedWith = code;
      });
      await anna.state(2);
      await eventually(async () => {
        await host.toClient(1, "over UDP?");
        expect(anna.peer.received).toContainEqual(toClient("over UDP?"));
      });
      await eventually(() => expect(closedWith).toBe(4409));
    });

    test("drops what a browser sends that is too large for a datagram, and goes on", async () => {
      const { session, host } = await game(2);
      await host.state(2);
      const anna = await browser(session, 1);
      await eventually(async () => {
        await host.ping();
        anna.socket.send(toClient("small"));
        expect(host.peer.received).toContainEqual(toHost(1, "small"));
      });
      const before = node.forwarder.counts.dropped["too-large"];
      anna.socket.send(toClient(Buffer.alloc(1_468)));
      anna.socket.send(toClient(Buffer.alloc(1_467)));
      await eventually(() =>
        expect(host.peer.received).toContainEqual(toHost(1, Buffer.alloc(1_467))),
      );
      expect(host.peer.received).not.toContainEqual(toHost(1, Buffer.alloc(1_468)));
      await eventually(async () => {
        const { body } = await api.read(session.session_id);
        const byNode = node.forwarder.counts.dropped["too-large"] - before;
        expect(byNode + body.session_users[1].frames_dropped).toBeGreaterThan(0);
      });
      anna.socket.close();
    });

    test("lets a native client play with a host in a browser, which is told who comes and goes", async () => {
      const { session, anna } = await game(2);
      const host = await browser(session, 0);
      await anna.state(2);
      await eventually(async () => {
        await anna.toHost("from UDP");
        expect(host.frames).toContainEqual(toHost(1, "from UDP"));
      });
      expect(host.texts).toContainEqual('{"type":"peer_joined","connection_id":1}');
      host.socket.send(toHost(1, "to UDP"));
      await eventually(() => expect(anna.peer.received).toContainEqual(toClient("to UDP")));
      host.socket.close();
    });
  });
});
