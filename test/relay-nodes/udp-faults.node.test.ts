/** What breaks around a relay node, over real UDP: the node as a process, and the Worker as it is deployed. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLog } from "../../relay-node/log";
import type { RelayNode } from "../../relay-node/relay-node";
import { Api } from "../support/api";
import { eventually } from "../support/eventually";
import { NativePlayer, startLinkedNode, toClient, toHost } from "../support/native-game";
import { RelayNodeProcess } from "../support/relay-node-process";
import { startServer, type TestServer } from "../support/server";
import { startProxy } from "../support/tcp-proxy";

let server: TestServer;
const players: NativePlayer[] = [];
const processes: RelayNodeProcess[] = [];
const nodes: RelayNode[] = [];

beforeAll(async () => {
  await RelayNodeProcess.build();
  server = await startServer();
});

afterAll(() => server?.close());

afterEach(async () => {
  for (const player of players.splice(0)) player.close();
  await Promise.all(processes.splice(0).map((one) => one.kill()));
  await Promise.all(nodes.splice(0).map((one) => one.stop()));
});

/** An organisation of the test's own. */
async function newApi(): Promise<Api> {
  const { api_key } = await server.newOrganisation("Native");
  return new Api(server, api_key.token);
}

/** Starts the process of a node, on free ports or on those of an earlier one. */
async function startProcess(
  token: string,
  { server: serverPort, client: clientPort } = { server: 0, client: 0 },
  workers = 1,
) {
  const options = ["--server-port", `${serverPort}`, "--client-port", `${clientPort}`];
  options.push("--workers", `${workers}`);
  const one = RelayNodeProcess.start({ origin: server.origin, token }, options);
  processes.push(one);
  const { server_port, client_port } = await one.logged("listening");
  await one.logged("linked");
  return { one, ports: { server: server_port, client: client_port } };
}

/** A session with a host and a client who are both heard. */
async function game(api: Api) {
  const { status, body: session } = await api.create(2);
  expect(status).toBe(200);
  expect(session.status).toBe("READY");
  const host = await NativePlayer.of(session, 0);
  const anna = await NativePlayer.of(session, 1);
  players.push(host, anna);
  await host.state(2);
  await anna.state(2);
  return { session, host, anna };
}

/** Sends until it has arrived: datagrams may be lost. */
async function passes({ host, anna }: { host: NativePlayer; anna: NativePlayer }) {
  // A host pings all the time. A node that has started again does not know where it is before.
  await host.state(2);
  await eventually(async () => {
    await anna.toHost("up");
    expect(host.peer.received).toContainEqual(toHost(1, "up"));
  });
  await eventually(async () => {
    await host.toClient(1, "down");
    expect(anna.peer.received).toContainEqual(toClient("down"));
  });
  host.peer.received.length = 0;
  anna.peer.received.length = 0;
}

const statusOf = async (api: Api, id: string) =>
  (await api.call("GET", `/v1/relay-nodes/${id}`)).body.status;

describe("a relay node that is killed", () => {
  test.each([1, 2])(
    "and is back within thirty seconds loses no session: --workers %i",
    async (n) => {
      const api = await newApi();
      const { token } = await api.newNode();
      const { one, ports } = await startProcess(token, undefined, n);
      const played = await game(api);
      await one.kill();
      await startProcess(token, ports, n);
      await passes(played);
      expect((await api.read(played.session.session_id)).body.status).toBe("READY");
    },
  );

  test("and does not come back is lost, and its sessions fail", async () => {
    const api = await newApi();
    const { id, token } = await api.newNode();
    const { one } = await startProcess(token);
    const { session } = await game(api);
    await one.kill();
    await eventually(async () => expect(await statusOf(api, id)).toBe("lost"));
    await eventually(async () => expect((await api.read(session.session_id)).status).toBe(404));
    const udp = await api.create(2, { transport: "udp" });
    expect(udp.status).toBe(503);
  });
});

describe("a relay node that is told to end", () => {
  test.each([1, 2])(
    "drains: it takes no session, and ends after its last one: --workers %i",
    async (n) => {
      const api = await newApi();
      const { id, token } = await api.newNode();
      const { one } = await startProcess(token, undefined, n);
      const played = await game(api);
      one.signal("SIGTERM");
      await eventually(async () => expect(await statusOf(api, id)).toBe("draining"));
      expect((await api.create(2, { transport: "udp" })).status).toBe(503);
      await passes(played);
      await api.end(played.session.session_id);
      expect(await one.ended()).toBe(0);
      await eventually(async () => expect(await statusOf(api, id)).toBe("offline"));
    },
  );

  test("takes a second signal at once for the same one, and a later one as the end", async () => {
    const api = await newApi();
    const { token } = await api.newNode();
    const { one } = await startProcess(token);
    const { session, anna } = await game(api);
    one.signal("SIGTERM");
    one.signal("SIGTERM");
    await anna.state(2);
    let code: number | null | undefined;
    void one.ended().then((ended) => {
      code = ended;
    });
    await eventually(() => {
      one.signal("SIGTERM");
      expect(code).toBe(0);
    });
    await eventually(async () => expect((await api.read(session.session_id)).status).toBe(404));
  });

  test("over the API drains as well", async () => {
    const api = await newApi();
    const { id, token } = await api.newNode();
    const { one } = await startProcess(token);
    const played = await game(api);
    const changed = await api.call("PATCH", `/v1/relay-nodes/${id}`, { draining: true });
    expect(changed.status).toBe(200);
    await passes(played);
    await api.end(played.session.session_id);
    expect(await one.ended()).toBe(0);
  });
});

describe("two processes with one token", () => {
  test("are one too many: the newer goes on, and the older is told and ends", async () => {
    const api = await newApi();
    const { token } = await api.newNode();
    const { one: older } = await startProcess(token);
    await startProcess(token);
    expect(await older.ended()).toBe(2);
    expect((await older.logged("ended")).reason).toContain("Another process");
    await passes(await game(api));
  });
});

describe("a relay node that is deleted", () => {
  test("ends, and its sessions fail", async () => {
    const api = await newApi();
    const { id, token } = await api.newNode();
    const { one } = await startProcess(token);
    const { session } = await game(api);
    expect((await api.call("DELETE", `/v1/relay-nodes/${id}`)).status).toBe(204);
    expect(await one.ended()).toBe(2);
    await eventually(async () => expect((await api.read(session.session_id)).status).toBe(404));
  });
});

describe.each([1, 2])("a link that is cut, of a node with --workers %i,", (workers) => {
  test("stops no datagram; a revocation says when it holds, and holds once the link is back", async () => {
    const api = await newApi();
    const { token } = await api.newNode();
    const proxy = await startProxy(server.origin);
    const node = await startLinkedNode(proxy.origin, token, { workers });
    nodes.push(node);
    const played = await game(api);
    proxy.cut();
    await eventually(() => expect(node.isLinked).toBe(false));
    await passes(played);
    // Until the node's object has noticed that the link is gone, the revocation waits for it in vain.
    const { status, body } = await api.revoke(played.session.session_id, played.anna.token);
    expect(status).toBe(200);
    const inSeconds = (Date.parse(body.effective_by) - Date.now()) / 1_000;
    expect(inSeconds).toBeGreaterThan(0);
    expect(inSeconds).toBeLessThanOrEqual(60);
    proxy.restore();
    await played.anna.state(3);
    await played.host.state(2);
    proxy.close();
  });

  test("for longer than the node may be blind lets nothing pass any more", async () => {
    const api = await newApi();
    const { token } = await api.newNode();
    const proxy = await startProxy(server.origin);
    const node = await startLinkedNode(proxy.origin, token, { workers });
    nodes.push(node);
    const { anna } = await game(api);
    proxy.cut();
    await anna.state(1);
    await anna.toHost("too late");
    await eventually(() => expect(node.forwarder.counts.dropped["link-down"]).toBeGreaterThan(0));
    proxy.close();
  });
});

describe("a Worker that is deployed anew", () => {
  test("drops the link, which comes back, no session, and no datagram", async () => {
    const api = await newApi();
    const { token } = await api.newNode();
    let links = 0;
    const log = createLog((line) => {
      if (JSON.parse(line).message === "linked") links += 1;
    });
    const node = await startLinkedNode(server.origin, token, { log });
    nodes.push(node);
    const played = await game(api);
    const { host, anna } = played;
    const restart = server.restart();
    for (let i = 0; links < 2; i++) {
      await anna.toHost(`up ${i}`);
      expect(await host.peer.next()).toEqual(toHost(1, `up ${i}`));
      await host.toClient(1, `down ${i}`);
      expect(await anna.peer.next()).toEqual(toClient(`down ${i}`));
    }
    await restart;
    expect(node.forwarder.counts.allDropped).toBe(0);
    await eventually(() => expect(node.isLinked).toBe(true));
    await passes(played);
    const { body } = await api.read(played.session.session_id);
    expect(body).toMatchObject({ status: "READY", session_users: [{ connected: true }, {}] });
    await passes(await game(api));
  });
});

describe("two relay nodes", () => {
  test("share the sessions of an organisation, and one that is full is passed over", async () => {
    const api = await newApi();
    const both = await Promise.all(
      ["A", "B"].map(async (name) => {
        const { token } = await api.newNode({ name, capacity: 2 });
        const node = await startLinkedNode(server.origin, token);
        nodes.push(node);
        return node;
      }),
    );
    const created = [];
    for (let i = 0; i < 4; i++) created.push(await api.create(2));
    expect(created.map(({ body }) => body.status)).toEqual(Array(4).fill("READY"));
    expect(both.map((node) => node.forwarder.table.sessionCount)).toEqual([2, 2]);
    const fifth = await api.create(2, { transport: "udp" });
    expect(fifth.body.status === "Error" || fifth.status === 503).toBe(true);
  });

  test("of two organisations never carry each other's sessions", async () => {
    const apis = [await newApi(), await newApi()] as const;
    const ours: RelayNode[] = [];
    for (const api of apis) {
      const { token } = await api.newNode();
      const node = await startLinkedNode(server.origin, token);
      nodes.push(node);
      ours.push(node);
    }
    for (const [i, api] of apis.entries()) {
      const { body } = await api.create(2);
      expect(ours[i]?.forwarder.table.get(body.session_id)).toBeDefined();
      expect(ours[1 - i]?.forwarder.table.get(body.session_id)).toBeUndefined();
    }
  });
});
