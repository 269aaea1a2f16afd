/**
 * A RelaySession has every field that docs/relay-sessions.md names and no other, and its links
 * agree with each other.
 */
import { env, exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { newOrganisation } from "../../support/client";
import { createMailbox } from "../../support/receiver";
import { authorize, create, list, read, revoke, SESSIONS } from "../../support/sessions";

const FIELDS = [
  "authorization_token",
  "created_at",
  "error",
  "expires_at",
  "join_code",
  "linked",
  "max_users",
  "metadata",
  "ready",
  "region",
  "relay",
  "session_id",
  "status",
  "webhook_url",
];
const USER_FIELDS = [
  "authorization_token",
  "bytes_in",
  "bytes_out",
  "connected",
  "connection_id",
  "device_id",
  "frames_dropped",
  "ip_address",
  "is_host",
  "latitude",
  "longitude",
];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test("a session made of nothing has every field, null where it has no value", async () => {
  const { key } = await newOrganisation();
  const { body, headers } = await create(key);
  expect(headers.get("Content-Type")).toMatch(/^application\/json/);
  expect(Object.keys(body).sort()).toEqual([...FIELDS, "session_users"].sort());
  expect(body).toMatchObject({
    status: "READY",
    ready: true,
    linked: true,
    error: null,
    session_users: [],
    webhook_url: null,
    max_users: 16,
    metadata: null,
    join_code: null,
    region: null,
  });
  expect(body.session_id).toMatch(/^[0-9a-f]{12}-S$/);
  expect(body.created_at).toMatch(TIME);
  expect(body.expires_at).toMatch(TIME);
  expect(Object.keys(body.relay).sort()).toEqual(["host", "ip", "ports"]);
  expect(Object.keys(body.relay.ports).sort()).toEqual(["client", "server"]);
  for (const port of [body.relay.ports.client, body.relay.ports.server]) {
    expect(Object.keys(port).sort()).toEqual(["link", "port", "protocol"]);
  }
});

test("a user has every field, null where it has no value", async () => {
  const { key } = await newOrganisation();
  const { body } = await create(key, { users: [{ ip: "1.1.1.1" }] });
  expect(Object.keys(body.session_users[0]).sort()).toEqual(USER_FIELDS);
  expect(body.session_users[0]).toMatchObject({
    ip_address: "1.1.1.1",
    latitude: null,
    longitude: null,
    connection_id: null,
    device_id: null,
    connected: false,
    bytes_in: 0,
    bytes_out: 0,
  });
});

test("create, read, revoke and list show a session with the same fields and values", async () => {
  const { key } = await newOrganisation();
  const { body: created } = await create(key, {
    users: [{ ip: "1.1.1.1" }, { ip: "2.2.2.2" }],
    webhook_url: createMailbox(env.TEST_RECEIVER_URL).url,
    metadata: { mode: "duel" },
    region: "weur",
    join_code: true,
    max_users: 5,
  });
  const id = created.session_id;
  expect((await read(key, id)).body).toEqual(created);
  const listed = (await list(key)).body.sessions[0];
  expect(Object.keys(listed)).toEqual(Object.keys(created));
  for (const user of listed.session_users) expect(Object.keys(user).sort()).toEqual(USER_FIELDS);
  const { body: revoked } = await revoke(key, id, created.session_users[1].authorization_token);
  expect(revoked).toEqual({ ...created, session_users: [created.session_users[0]] });
});

test("authorize-user shows the session with one session_user and without session_users", async () => {
  const { key } = await newOrganisation();
  const { body: created } = await create(key, { users: [{ ip: "1.1.1.1" }] });
  const { body } = await authorize(key, created.session_id, "2.2.2.2");
  expect(Object.keys(body).sort()).toEqual([...FIELDS, "session_user"].sort());
  expect(Object.keys(body.session_user).sort()).toEqual(USER_FIELDS);
  const { session_users: _, ...session } = created;
  expect(body).toEqual({ ...session, session_user: body.session_user });
  const { body: now } = await read(key, created.session_id);
  expect(now.session_users).toEqual([created.session_users[0], body.session_user]);
});

describe("the links of a session are on the origin that was called", () => {
  test.each([
    ["http://localhost:8787", "WS", "localhost", "127.0.0.1", 8787],
    ["http://127.0.0.1:8787", "WS", "127.0.0.1", "127.0.0.1", 8787],
    ["http://[::1]:8787", "WS", null, "::1", 8787],
    ["http://relay.example.com", "WS", "relay.example.com", null, 80],
    ["https://relay.example.com", "WSS", "relay.example.com", null, 443],
    ["https://relay.example.com:8443", "WSS", "relay.example.com", null, 8443],
    ["https://198.51.100.7", "WSS", "198.51.100.7", "198.51.100.7", 443],
  ])("%s", async (origin, protocol, host, ip, port) => {
    const { key } = await newOrganisation();
    const headers = { Authorization: `token ${key}` };
    const answer = await exports.default.fetch(
      new Request(origin + SESSIONS, { method: "POST", headers, body: "{}" }),
    );
    const { session_id: id, relay } = (await answer.json()) as { session_id: string; relay: Relay };
    const expected = linksOn(origin, id);
    expect(relay.ports.server).toEqual({ port, protocol, link: expected.server });
    expect(relay.ports.client).toEqual({ port, protocol, link: expected.client });
    expect(relay.ip).toBe(ip);
    if (host !== null) expect(relay.host).toBe(host);
    for (const { link } of [relay.ports.server, relay.ports.client]) {
      const url = new URL(link);
      expect(url.protocol).toBe(`${protocol.toLowerCase()}:`);
      expect(url.hostname).toBe(relay.host);
      expect(Number(url.port || (protocol === "WSS" ? 443 : 80))).toBe(port);
    }
  });

  test("also when the session was made through another origin", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const answer = await exports.default.fetch(
      new Request(`https://relay.example.com${SESSIONS}/${id}`, {
        headers: { Authorization: `token ${key}` },
      }),
    );
    const { relay } = (await answer.json()) as { relay: Relay };
    const { server, client } = linksOn("https://relay.example.com", id);
    expect([relay.ports.server.link, relay.ports.client.link]).toEqual([server, client]);
  });
});

interface Relay {
  ip: string | null;
  host: string;
  ports: Record<"server" | "client", { port: number; protocol: string; link: string }>;
}

function linksOn(origin: string, id: string) {
  const base = `${origin.replace("http", "ws")}${SESSIONS}/${id}`;
  return { server: `${base}/server`, client: `${base}/client` };
}
