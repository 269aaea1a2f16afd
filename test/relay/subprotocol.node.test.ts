/**
 * The subprotocol `drawbridge.v1` as clients in Node see it, over a real network connection: the package `ws`,
 * and Node's own WebSocket.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WS from "ws";
import { startServer, type TestServer } from "../support/server";

let server: TestServer;
let key: string;

beforeAll(async () => {
  server = await startServer();
  key = (await server.newOrganisation("Subprotocol")).api_key.token;
});
afterAll(() => server.close());

/** A new session: its link for clients, without a query, and what its second user offers. */
async function newSession() {
  const response = await fetch(`${server.origin}/v1/relays/sessions`, {
    method: "POST",
    headers: { Authorization: `token ${key}` },
    body: JSON.stringify({ users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  const session = (await response.json()) as any;
  const [host, client] = session.session_users.map(
    (user: { authorization_token: number }) =>
      `tokens.${session.authorization_token}.${user.authorization_token}`,
  );
  return { link: session.relay.ports.client.link as string, host, client };
}

const CLIENTS = [
  ["ws", (link: string, offer: string[]) => new WS(link, offer) as unknown as WebSocket],
  ["Node's own WebSocket", (link: string, offer: string[]) => new WebSocket(link, offer)],
] as const;

describe.each(CLIENTS)("%s", (_, open) => {
  const eventOf = (socket: WebSocket, type: keyof WebSocketEventMap) =>
    // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
    new Promise<any>((resolve) => socket.addEventListener(type, resolve, { once: true }));

  test("connects without a credential in the URL, and is told its side", async () => {
    const { link, host, client } = await newSession();
    for (const [credential, role] of [
      [host, "host"],
      [client, "client"],
    ]) {
      const socket = open(link, ["drawbridge.v1", credential]);
      const { data } = await eventOf(socket, "message");
      expect(JSON.parse(data)).toMatchObject({ type: "ready", role });
      expect([socket.protocol, socket.url]).toEqual(["drawbridge.v1", link]);
      socket.send("ping");
      expect((await eventOf(socket, "message")).data).toBe("pong");
      socket.close();
      await eventOf(socket, "close");
    }
  });

  test("is told by a close code why it is refused", async () => {
    const { link, client } = await newSession();
    const codeOf = async (...[to, ...offer]: [string, ...string[]]) => {
      const { code, reason } = await eventOf(open(to, ["drawbridge.v1", ...offer]), "close");
      return [code, reason];
    };
    expect(await codeOf(link, "tokens.1.2")).toEqual([
      4401,
      "session_token or user_token is wrong or revoked.",
    ]);
    expect((await codeOf(link.replace(/[0-9a-f]{12}-S/, "ffffffffffff-S"), client))[0]).toBe(4404);
  });
});
