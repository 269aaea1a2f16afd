/** The relay part of the client, as a game in Node uses it, against the Worker. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { connectRelay, joinRelay, RelayError } from "drawbridge-client/relay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually";
import { startServer, type TestServer } from "../support/server";
import { record } from "./recorder";
import { api, connectBoth, createSession, credentialsOf } from "./relay-session";

let server: TestServer;
let key: string;

beforeAll(async () => {
  server = await startServer();
  key = (await server.newOrganisation("Client")).api_key.token;
});

afterAll(() => server?.close());

test("The example of docs/client.md runs, and prints what stands there", async () => {
  const page = readFileSync("docs/client.md", "utf8");
  const [, program = "", printed = ""] =
    /```js example\n([\s\S]*?)```\n\n```\n([\s\S]*?)```/.exec(page) ?? [];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program],
    { env: { ...process.env, BASE: server.origin, KEY: key } },
  );
  // The code is another one each time, and two lines may change places.
  const lines = (text: string) =>
    text
      .replace(/with \S+/, "with")
      .trim()
      .split("\n")
      .sort();
  expect(lines(stdout)).toEqual(lines(printed));
});

const bytes = (text: string) => new TextEncoder().encode(text);
const texts = (list: readonly unknown[]) =>
  list.map((data) => new TextDecoder().decode(data as Uint8Array));

describe("a host and a client", () => {
  test("talk in bytes, and each is told of the other once", async () => {
    const session = await createSession(server.origin, key);
    const host = await connectRelay(credentialsOf(session, 0));
    const atHost = record(host);
    const typed = ` ${session.join_code.toLowerCase().replace("-", "")}`;
    const client = await joinRelay({ url: server.origin, code: typed });
    expect(client.joinCode).toBe(session.join_code);
    const atClient = record(client);
    expect([host.isHost, host.connectionId, client.isHost, client.connectionId]).toEqual([
      true,
      0,
      false,
      2,
    ]);
    expect(await atHost.first("peerjoined")).toEqual({ type: "peerjoined", connectionId: 2 });
    await atClient.first("hostjoined");
    expect([...host.peers]).toEqual([2]);
    expect(client.isHostHere).toBe(true);

    expect(client.send(bytes("good evening"))).toBe(true);
    expect(await atHost.first("message")).toEqual({
      type: "message",
      data: bytes("good evening"),
      from: 2,
    });
    host.send(bytes("welcome"), 2);
    host.broadcast(bytes("everyone"));
    host.send(new Uint16Array([1, 2]).subarray(1), 2);
    await atClient.nth("message", 2);
    expect(texts(atClient.messages)).toEqual(["welcome", "everyone", "\u0002\u0000"]);
    expect(atClient.of("message").map(({ from }) => from)).toEqual([null, null, null]);
    await eventually(() => expect(client.roundTripMs).toBeGreaterThanOrEqual(0));

    client.close();
    expect(client.state).toBe("closed");
    expect(atClient.of("closed")).toEqual([{ type: "closed", code: 1000, reason: "closed here" }]);
    expect(await atHost.first("peerleft")).toEqual({ type: "peerleft", connectionId: 2 });
    expect([...host.peers]).toEqual([]);
    host.close();
  });

  test("talk in values with a codec, and a message of another codec is told as such", async () => {
    const session = await createSession(server.origin, key);
    const host = await connectRelay<{ x: number }>({ ...credentialsOf(session, 0), codec: "json" });
    const client = await connectRelay<{ x: number }>({
      ...credentialsOf(session, 1),
      codec: "json",
    });
    const [atHost, atClient] = [record(host), record(client)];
    client.send({ x: 1 });
    expect((await atHost.first("message")).data).toEqual({ x: 1 });
    host.broadcast({ x: 2 });
    expect((await atClient.first("message")).data).toEqual({ x: 2 });
    expect(() => client.send(undefined as never)).toThrow("JSON has no undefined");
    client.close();

    const other = await connectRelay(credentialsOf(session, 1));
    other.send(bytes("{"));
    expect(await atHost.first("undecodable")).toMatchObject({ data: bytes("{"), from: 1 });
    other.close();
    host.close();
  });

  test("are told what they must not do, before anything is sent", async () => {
    const session = await createSession(server.origin, key);
    const { host, client } = await connectBoth(session);
    expect(() => host.send(bytes("to whom?"))).toThrow("broadcast(data)");
    expect(() => client.send(bytes("to you"), 2)).toThrow("to the host only");
    expect(() => client.broadcast(bytes("to all"))).toThrow("Only the host can broadcast");
    expect(() => client.send(new Uint8Array(65_537))).toThrow(RangeError);
    expect(() => client.send("text" as never)).toThrow('codec: "json"');
    expect([host.state, client.state]).toEqual(["open", "open"]);
    host.close();
    client.close();
  });
});

describe("a connection is refused", () => {
  test("with the reason, where the code is wrong", async () => {
    const joining = joinRelay({ url: `${server.origin}/`, code: "AAAA-AAAA" });
    await expect(joining).rejects.toBeInstanceOf(RelayError);
    await expect(joining).rejects.toMatchObject({ status: 404, code: "session-not-found" });
  });

  test("with the reason, where a token is wrong", async () => {
    const session = await createSession(server.origin, key);
    const credentials = { ...credentialsOf(session, 1), userToken: 1 };
    const connecting = connectRelay(credentials);
    await expect(connecting).rejects.toBeInstanceOf(RelayError);
    await expect(connecting).rejects.toMatchObject({ closeCode: 4401, status: null });
  });

  test("where there is no such session", async () => {
    const session = await createSession(server.origin, key);
    const { link, ...tokens } = credentialsOf(session, 1);
    const other = link.replace(/sessions\/[0-9a-f]{12}/, "sessions/000000000000");
    await expect(connectRelay({ link: other, ...tokens })).rejects.toMatchObject({
      closeCode: 4404,
    });
  });

  test("where nobody answers, after the time that was given", async () => {
    const url = "http://127.0.0.1:9";
    const joining = joinRelay({ url, code: "AAAA-AAAA", timeoutMs: 400 });
    await expect(joining).rejects.toMatchObject({ status: null, code: null });
    const link = "ws://127.0.0.1:9/v1/relays/sessions/000000000000-S/client";
    const connecting = connectRelay({ link, sessionToken: 1, userToken: 1, timeoutMs: 400 });
    await expect(connecting).rejects.toMatchObject({ closeCode: 1006 });
  });
});

describe("a connection is over, and is not made again,", () => {
  test("when the session has ended", async () => {
    const session = await createSession(server.origin, key);
    const { host, client } = await connectBoth(session);
    const [atHost, atClient] = [record(host), record(client)];
    await api(server.origin, key, "DELETE", `/v1/relays/sessions/${session.session_id}`);
    expect(await atHost.first("closed")).toMatchObject({ code: 4410 });
    expect(await atClient.first("closed")).toMatchObject({ code: 4410 });
    expect([host.state, client.state]).toEqual(["closed", "closed"]);
    expect(client.send(bytes("too late"))).toBe(false);
    expect(client.dropped).toBe(1);
    await expect(connectRelay(credentialsOf(session, 1))).rejects.toMatchObject({
      closeCode: 4410,
    });
  });

  test("when the user was revoked", async () => {
    const session = await createSession(server.origin, key);
    const { host, client } = await connectBoth(session);
    const atClient = record(client);
    await api(server.origin, key, "POST", "/v1/relays/sessions:revoke-user", {
      session_id: session.session_id,
      authorization_token: session.session_users[1].authorization_token,
    });
    expect(await atClient.first("closed")).toMatchObject({ code: 4403 });
    host.close();
  });

  test("when the same user connects in a second tab, which stays", async () => {
    const session = await createSession(server.origin, key);
    const { host, client } = await connectBoth(session);
    const [atHost, atClient] = [record(host), record(client)];
    const second = await connectRelay(credentialsOf(session, 1));
    expect(await atClient.first("closed")).toMatchObject({ code: 4409 });
    second.send(bytes("still here"));
    await atHost.first("message");
    expect(second.state).toBe("open");
    expect(atClient.of("reconnecting")).toEqual([]);
    host.close();
    second.close();
  });
});
