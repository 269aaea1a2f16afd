/** What players see who use the client, when another of them becomes the host. */
import { connectRelay, hostRelay, joinRelay } from "drawbridge-client/relay";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually";
import { startServer, type TestServer } from "../support/server";
import { startProxy, type TcpProxy } from "../support/tcp-proxy";
import { record } from "./recorder";
import { api, createSession, credentialsOf } from "./relay-session";

let server: TestServer;
let proxy: TcpProxy;
let key: string;
let publishableKey: string;

beforeAll(async () => {
  server = await startServer();
  proxy = await startProxy(server.origin);
  const { id, api_key } = await server.newOrganisation("Hosts");
  key = api_key.token;
  const made = await api(server.origin, key, "POST", "/api-keys", {
    name: "In the game",
    emails: [],
    organizationsIds: [id],
    permissions: ["relays:host"],
  });
  publishableKey = made.token.value;
});

afterAll(async () => {
  proxy?.close();
  await server?.close();
});

test("A client is made the host in place: it talks to all at once, and the old host is a client", async () => {
  const session = await createSession(server.origin, key, {
    users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }, { ip: "192.0.2.3" }],
  });
  const open = async (user: number) => {
    const connection = await connectRelay<string>({
      ...credentialsOf(session, user),
      codec: "json",
      bufferWhileAway: 5,
    });
    return { connection, at: record(connection) };
  };
  const [old, next, third] = [await open(0), await open(1), await open(2)];
  await old.at.nth("peerjoined", 1);
  const assigned = api(server.origin, key, "POST", "/v1/relays/sessions:assign-host", {
    session_id: session.session_id,
    authorization_token: session.session_users[1].authorization_token,
  });
  await next.at.first("promoted");
  expect(next.connection.isHost).toBe(true);
  next.connection.broadcast("I am the host");
  expect((await third.at.first("message")).data).toBe("I am the host");
  expect(third.at.of("hostchanged")).toEqual([{ type: "hostchanged", connectionId: 1 }]);
  expect(third.at.of("hostleft")).toEqual([]);
  await assigned;

  expect(await old.at.first("reconnecting")).toMatchObject({ code: 4503 });
  // This one is meant for a client, as a host sends it. It waits, and cannot be sent any more.
  old.connection.send("from the host before", 2);
  await old.at.first("reconnected");
  expect(old.connection.isHost).toBe(false);
  expect(old.at.of("hostchanged")).toEqual([{ type: "hostchanged", connectionId: null }]);
  expect(old.connection.dropped).toBe(1);
  old.connection.send("a client now");
  third.connection.send("still a client");
  await next.at.nth("message", 1);
  expect(next.at.of("message").map(({ data, from }) => [from, data])).toEqual(
    expect.arrayContaining([
      [0, "a client now"],
      [2, "still a client"],
    ]),
  );
  expect([...next.connection.peers].sort()).toEqual([0, 2]);
  expect(next.at.of("peerjoined").map(({ connectionId }) => connectionId)).toEqual([2, 0]);
  for (const { connection } of [old, next, third]) connection.close();
});

test("If the host of a session without a backend stays away, a client becomes the host, and the host comes back as a client", async () => {
  const host = await hostRelay<string>({ url: proxy.origin, key: publishableKey, codec: "json" });
  const atHost = record(host);
  const code = host.joinCode ?? "";
  expect(code).toMatch(/^.{4}-.{4}$/);
  const client = await joinRelay<string>({ url: server.origin, code, codec: "json" });
  const atClient = record(client);
  proxy.cut();
  await atClient.first("hostleft");
  await atClient.first("promoted");
  proxy.restore();
  await atHost.first("hostchanged");
  expect([host.isHost, client.isHost]).toEqual([false, true]);
  host.send("back");
  expect(await atClient.first("message")).toMatchObject({ data: "back", from: 0 });
  client.broadcast("welcome back");
  expect(await atHost.first("message")).toMatchObject({ data: "welcome back", from: null });
  host.close();
  client.close();
});

test("A lost answer takes no second seat: the call is made again as the same call", async () => {
  const host = await hostRelay({ url: server.origin, key: publishableKey, maxUsers: 2 });
  const code = host.joinCode ?? "";
  const original = globalThis.fetch;
  let calls = 0;
  globalThis.fetch = async (...args) => {
    calls += 1;
    const answer = await original(...args);
    if (calls === 1) throw new TypeError("the network has gone");
    return answer;
  };
  try {
    const client = await joinRelay({ url: server.origin, code });
    expect([client.connectionId, calls]).toEqual([1, 2]);
    client.close();
  } finally {
    globalThis.fetch = original;
  }
  await eventually(() => expect(host.peers.size).toBe(0));
  host.close();
});

test("Who sends more than allowed waits, and is let in again", async () => {
  const session = await createSession(server.origin, key);
  const host = await connectRelay(credentialsOf(session, 0));
  const client = await connectRelay(credentialsOf(session, 1));
  const atClient = record(client);
  // 1,000 at once and 500 a second are allowed: a machine that takes 8 seconds for these is too slow.
  for (let i = 0; i < 5_000; i++) client.send(new Uint8Array(1));
  expect(await atClient.first("reconnecting")).toMatchObject({ code: 4429 });
  await atClient.first("reconnected");
  expect(client.dropped).toBeGreaterThan(0);
  host.close();
  client.close();
});
