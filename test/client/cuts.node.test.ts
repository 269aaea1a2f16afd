/** What a network that is cut does to the client's connections, and what they say of it. */
import { connectRelay, type RelayConnection } from "drawbridge-client/relay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually";
import { startServer, type TestServer } from "../support/server";
import { startProxy, type TcpProxy } from "../support/tcp-proxy";
import { record } from "./recorder";
import { createSession, credentialsOf } from "./relay-session";

let server: TestServer;
let key: string;
let proxy: TcpProxy;

beforeAll(async () => {
  server = await startServer();
  key = (await server.newOrganisation("Cuts")).api_key.token;
  proxy = await startProxy(server.origin);
});

afterAll(async () => {
  proxy?.close();
  await server?.close();
});

/** A host whose network holds, and a client behind the proxy. */
async function connectBehindProxy(options: { bufferWhileAway?: number } = {}) {
  const session = await createSession(server.origin, key);
  const credentials = credentialsOf(session, 1);
  const link = credentials.link.replace(/^ws:\/\/[^/]+/, proxy.origin.replace("http", "ws"));
  const host = await connectRelay<number>({ ...credentialsOf(session, 0), codec: "json" });
  const atHost = record(host);
  const client = await connectRelay<number>({ ...credentials, link, codec: "json", ...options });
  return { host, client, atHost, atClient: record(client) };
}

async function cutAndRestore(client: RelayConnection<number, number>) {
  proxy.cut();
  await eventually(() => expect(client.state).toBe("reconnecting"));
  proxy.restore();
  await eventually(() => expect(client.state).toBe("open"));
}

describe("a client whose network is cut", () => {
  test("comes back with the same number, and is told how long it was away", async () => {
    const { host, client, atHost, atClient } = await connectBehindProxy();
    await cutAndRestore(client);
    expect(client.connectionId).toBe(1);
    expect(await atClient.first("reconnecting")).toMatchObject({ code: 1006 });
    const { awayMs } = await atClient.first("reconnected");
    expect(awayMs).toBeGreaterThan(0);
    client.send(1);
    expect(await atHost.first("message")).toMatchObject({ data: 1, from: 1 });
    // It never was away for more than the network was: the host is told once that it left and came.
    const told = atHost.events.map(({ type }) => type).filter((type) => type.startsWith("peer"));
    expect(told).toEqual(["peerjoined", "peerleft", "peerjoined"]);
    expect(atClient.of("hostjoined")).toHaveLength(1);
    expect(atClient.of("hostleft")).toEqual([]);
    host.close();
    client.close();
  });

  test("drops and counts what it sends meanwhile", async () => {
    const { host, client, atHost, atClient } = await connectBehindProxy();
    proxy.cut();
    await eventually(() => expect(client.state).toBe("reconnecting"));
    expect([client.send(1), client.send(2), client.send(3)]).toEqual([false, false, false]);
    expect(client.dropped).toBe(3);
    proxy.restore();
    expect(await atClient.first("reconnected")).toMatchObject({ dropped: 3, missed: 0 });
    client.send(4);
    await atHost.first("message");
    expect(atHost.messages).toEqual([4]);
    host.close();
    client.close();
  });

  test("keeps the newest of what it sends meanwhile, where it was told how many", async () => {
    const { host, client, atHost, atClient } = await connectBehindProxy({ bufferWhileAway: 3 });
    proxy.cut();
    await eventually(() => expect(client.state).toBe("reconnecting"));
    for (let i = 1; i <= 5; i++) client.send(i);
    proxy.restore();
    expect(await atClient.first("reconnected")).toMatchObject({ dropped: 2 });
    client.send(6);
    await atHost.nth("message", 3);
    expect(atHost.messages).toEqual([3, 4, 5, 6]);
    expect(client.dropped).toBe(2);
    host.close();
    client.close();
  });

  test("is told what was for it meanwhile", async () => {
    const { host, client, atClient, atHost } = await connectBehindProxy();
    proxy.cut();
    await atHost.first("peerleft");
    for (let i = 1; i <= 4; i++) host.send(i, 1);
    for (let i = 5; i <= 7; i++) host.broadcast(i);
    proxy.restore();
    expect(await atClient.first("reconnected")).toMatchObject({ dropped: 0, missed: 7 });
    expect(client.missed).toBe(7);
    host.close();
    client.close();
  });

  test("hears of a host who left meanwhile", async () => {
    const { host, client, atClient } = await connectBehindProxy();
    await atClient.first("hostjoined");
    proxy.cut();
    await eventually(() => expect(client.state).toBe("reconnecting"));
    host.close();
    proxy.restore();
    await atClient.first("reconnected");
    await atClient.first("hostleft");
    expect(client.isHostHere).toBe(false);
    client.close();
  });
});

test("a deploy of the Worker drops nobody for good", async () => {
  const { host, client, atClient, atHost } = await connectBehindProxy();
  await server.restart();
  await atClient.first("reconnected");
  await atHost.first("reconnected");
  client.send(1);
  await atHost.first("message");
  host.broadcast(2);
  await atClient.first("message");
  host.close();
  client.close();
});

describe("5,000 messages each way, through five cuts,", () => {
  test("come once each and in order, and what is lost is what is reported lost", async () => {
    const { host, client, atHost, atClient } = await connectBehindProxy();
    await atHost.first("peerjoined");
    const total = 5_000;
    const cuts = new Set([1, 2, 3, 4, 5].map((i) => i * 800));
    let isAway = Promise.resolve();
    for (let i = 1; i <= total; i++) {
      client.send(i);
      host.send(i, 1);
      // In the middle of a burst: both directions have messages on their way.
      if (cuts.has(i)) {
        proxy.cut();
        isAway = eventually(() => expect(client.state).toBe("reconnecting"));
      }
      // Below what a user may send in a second, and so that some are sent while it is away.
      if (i % 20 === 0) await new Promise((next) => setTimeout(next, 45));
      if (i % 800 === 200) {
        await isAway;
        proxy.restore();
        await eventually(() => expect(client.state).toBe("open"));
      }
    }
    await atClient.nth("reconnected", 4);
    await eventually(() => {
      expect(atHost.messages.at(-1)).toBe(total);
      expect(atClient.messages.at(-1)).toBe(total);
    });
    expect(atClient.of("reconnecting")).toHaveLength(5);
    for (const messages of [atHost.messages, atClient.messages]) {
      expect(messages).toEqual([...new Set(messages)].sort((a, b) => a - b));
    }
    const reported = (field: "dropped" | "missed") =>
      atClient.of("reconnected").reduce((sum, event) => sum + Number(event[field]), 0);
    expect(atHost.messages.length + client.dropped).toBe(total);
    expect(reported("dropped")).toBe(client.dropped);
    expect(atClient.messages.length + client.missed).toBe(total);
    expect(reported("missed")).toBe(client.missed);
    // The test has cut what it wanted to: something was lost in both directions, and much came.
    for (const lost of [client.dropped, client.missed]) {
      expect(lost).toBeGreaterThan(0);
      expect(lost).toBeLessThan(total / 2);
    }
    expect(host.dropped + host.missed).toBe(0);
    host.close();
    client.close();
  });
});
