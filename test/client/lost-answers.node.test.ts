/** Calls of the client whose answer is lost on its way: they are made again, and count once. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { hostRelay, joinRelay, RelayError } from "drawbridge-client/relay";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server";
import { api, createSession } from "./relay-session";

/** How an answer that the service gave comes to the client. */
type Spoil = (response: ServerResponse, status: number, body: string) => void;

const JSON_TYPE = { "Content-Type": "application/json" };

const SPOILT: Record<string, Spoil> = {
  "is cut in the middle": (response, status, body) => {
    response.writeHead(status, { ...JSON_TYPE, "Content-Length": Buffer.byteLength(body) });
    response.write(body.slice(0, 20), () => response.destroy());
  },
  "ends too early": (response, status, body) => {
    response.writeHead(status, JSON_TYPE).end(body.slice(0, 20));
  },
  "is empty": (response, status) => response.writeHead(status, JSON_TYPE).end(),
  "is null": (response, status) => response.writeHead(status, JSON_TYPE).end("null"),
  "is another's page": (response, status) => response.writeHead(status).end("<p>Welcome</p>"),
};

let server: TestServer;
let key: string;
/** The service, but its first answers are spoilt in this way. */
let origin: string;
let spoil: Spoil[] = [];
let idempotencyKeys: unknown[] = [];

const between = createServer(async (request, response) => {
  idempotencyKeys.push(request.headers["idempotency-key"]);
  const { authorization = "", "idempotency-key": idempotencyKey } = request.headers;
  const answer = await fetch(server.origin + request.url, {
    method: "POST",
    headers: { ...JSON_TYPE, authorization, "idempotency-key": String(idempotencyKey) },
    body: await text(request),
  });
  const body = await answer.text();
  const spoilt = spoil.shift();
  if (spoilt) spoilt(response, answer.status, body);
  else response.writeHead(answer.status, JSON_TYPE).end(body);
});

beforeAll(async () => {
  server = await startServer();
  key = (await server.newOrganisation("Lost answers")).api_key.token;
  await new Promise<void>((listening) => between.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
});

beforeEach(() => {
  spoil = [];
  idempotencyKeys = [];
});

afterAll(async () => {
  between.close();
  between.closeAllConnections();
  await server?.close();
});

test.each(Object.entries(SPOILT))(
  "a join whose answer %s is made again, and takes one seat",
  async (_, spoilt) => {
    const session = await createSession(server.origin, key, { join_code: true });
    const before = session.session_users.length;
    spoil = [spoilt];
    const player = await joinRelay({ url: origin, code: session.join_code });
    expect(player.state).toBe("open");
    player.close();
    expect(idempotencyKeys).toHaveLength(2);
    expect(new Set(idempotencyKeys).size).toBe(1);
    const path = `/v1/relays/sessions/${session.session_id}`;
    const { session_users } = await api(server.origin, key, "GET", path);
    expect(session_users).toHaveLength(before + 1);
  },
);

test("hosting whose answer is lost makes one session", async () => {
  const list = () => api(server.origin, key, "GET", "/v1/relays/sessions");
  const { total_count: before } = await list();
  spoil = Object.values(SPOILT).slice(0, 2);
  const host = await hostRelay({ url: origin, key });
  host.close();
  expect((await list()).total_count).toBe(before + 1);
});

test("where no answer comes whole, the error says so after the last attempt", async () => {
  spoil = Array.from({ length: 4 }, () => SPOILT["is null"] as Spoil);
  const failed = await hostRelay({ url: origin, key }).catch((error) => error);
  expect(failed).toBeInstanceOf(RelayError);
  expect(failed).toMatchObject({ status: 200, code: null });
  expect(failed.message).toBe(`${origin}/v1/relays/host answered without JSON`);
  expect(idempotencyKeys).toHaveLength(4);
});

test("a refusal is not made again, also where its words are lost", async () => {
  spoil = [SPOILT["is cut in the middle"] as Spoil];
  const joining = joinRelay({ url: origin, code: "AAAA-AAAA" });
  await expect(joining).rejects.toMatchObject({ status: 404, code: null });
  expect(idempotencyKeys).toHaveLength(1);
});
