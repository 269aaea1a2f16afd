/**
 * The log has one JSON line for each request where LOG_REQUESTS is `all`, as in the tests, and never a token, a secret
 * or a part of a body. `request-log.test.ts` has which requests have a line otherwise.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { newToken } from "../../src/keys/key-token";
import { call, newOrganisation } from "../support/client";
import { d1Lost, withD1 } from "../support/d1";
import { journalUnreachable, withJournals } from "../support/faults";
import { newMailbox } from "../support/pipeline";
import {
  anyAddress,
  authorize,
  create,
  join,
  list,
  read,
  remove,
  revoke,
} from "../support/sessions";
import { connect, upgrade } from "../support/socket";

const METHODS = ["log", "info", "warn", "error", "debug", "trace"] as const;

let lines: string[] = [];

beforeEach(() => {
  lines = [];
  for (const method of METHODS) {
    vi.spyOn(console, method).mockImplementation((...args: unknown[]) => {
      lines.push(
        args.map((arg) => (typeof arg === "string" ? arg : JSON.stringify(arg))).join(" "),
      );
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

function expectNone(secrets: Record<string, unknown>): void {
  expect(lines.length).toBeGreaterThan(0);
  const log = lines.join("\n");
  for (const [name, secret] of Object.entries(secrets)) {
    const text = String(secret);
    expect(text.length, name).toBeGreaterThan(3);
    expect(log.includes(text), `the log holds the ${name}`).toBe(false);
  }
}

/** A text that is nowhere but in what a caller sent. */
const canary = (name: string) => `canary-${name}-${crypto.randomUUID().slice(0, 8)}`;

describe("a request", () => {
  test("leaves one log line with its caller, its route and its outcome", async () => {
    const { id, key } = await newOrganisation();
    const { session_id } = (await create(key)).body;
    lines = [];
    const wanted = [
      [await read(key, session_id), "GET", "/v1/relays/sessions/{id}", id, "relay-sessions"],
      [await create(key, []), "POST", "/v1/relays/sessions", id, "relay-sessions"],
      [await call("GET", "/v1/ip"), "GET", "/v1/ip", null, "v1"],
      [await call("GET", "/nowhere"), "GET", null, null, "v1"],
      [await list(newToken()), "GET", "/v1/relays/sessions", null, "relay-sessions"],
    ] as const;
    const logged = lines.map((line) => JSON.parse(line));
    expect(logged).toHaveLength(wanted.length);
    for (const [i, [answer, method, route, organisation, surface]] of wanted.entries()) {
      expect(logged[i]).toMatchObject({
        message: "request",
        request_id: answer.headers.get("X-Request-Id"),
        status: answer.status,
        method,
        route,
        organisation,
        surface,
      });
      expect(logged[i].duration_ms).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("the log", () => {
  test("holds no secret of a session's whole life, with websockets and failed webhooks", async () => {
    const mailbox = newMailbox();
    await mailbox.answer({ kind: "status", status: 500, body: canary("answer") });
    const hook = canary("hook");
    const note = canary("note");
    const device = canary("device");
    const { key, webhookSecret } = await newOrganisation(canary("name"));
    const { body: session } = await create(
      key,
      {
        // The host connects; a user whose device is not paired would not be let in.
        users: [{ ip: "203.0.113.77" }, { ip: "203.0.113.77", device_id: device }],
        webhook_url: `${mailbox.url}?secret=${hook}`,
        metadata: { note },
        join_code: true,
      },
      { "Idempotency-Key": canary("idempotency") },
    );
    const id = session.session_id;
    const { user_token: joined } = (await join(session.join_code)).body;
    const { session_user: added } = (await authorize(key, id)).body;
    const users = [session.session_users[0].authorization_token, joined];
    const relay = {
      id,
      key,
      sessionToken: session.authorization_token,
      userTokens: users,
      stub: env.SESSIONS.getByName(id),
    };
    const host = await connect(relay, 0);
    const wrong = `session_token=${session.authorization_token}&user_token=1234567`;
    expect((await upgrade(relay, 1, { query: wrong })).status).toBe(403);
    host.send(2, 1, 0, 0, 0, ...new TextEncoder().encode(canary("frame")));
    await revoke(key, id, added.authorization_token);
    await remove(key, id);
    await host.closed;
    const [request] = await mailbox.waitForRequests(3);
    expectNone({
      key,
      "webhook secret": webhookSecret,
      "session's token": session.authorization_token,
      "user's token": users[0],
      "joined user's token": joined,
      "authorised user's token": added.authorization_token,
      "join code": session.join_code,
      "secret of a webhook's URL": hook,
      metadata: note,
      device,
      "user's address": "203.0.113.77",
      canaries: "canary-",
      signature: request?.headers["webhook-signature"],
    });
  });

  test("holds no credential that was refused, and neither of the root's secrets", async () => {
    const unknown = newToken();
    const nonsense = canary("credential");
    for (const key of [unknown, nonsense, `${unknown.slice(0, -1)}_`, env.DRAWBRIDGE_ROOT_TOKEN]) {
      await call("GET", "/v1/relays/sessions", { key, ip: anyAddress() });
      await call("GET", "/v1/organisations", { key, ip: anyAddress() });
    }
    const name = canary("organisation");
    const { body } = await call("POST", "/v1/organisations", {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      body: { name },
    });
    expectNone({
      "unknown key": unknown,
      nonsense,
      "root token": env.DRAWBRIDGE_ROOT_TOKEN,
      "root secret": env.DRAWBRIDGE_SECRET,
      "new key": body.api_key.token,
      "access key's secret": body.api_key.access_key.secret,
      "webhook secret": body.webhook_secret,
      "organisation's name": name,
    });
  });

  test("holds no sign-in code, and no session token that was given for one", async () => {
    const { key } = await newOrganisation();
    const { key_id } = (await call("GET", "/v1/auth/session-tokens", { key })).body;
    const make = async () =>
      (
        await call("POST", "/v1/auth/sign-in-codes", {
          key: env.DRAWBRIDGE_ROOT_TOKEN,
          body: { key_id },
        })
      ).body.code;
    const [code, failing] = [await make(), await make()];
    const path = "/v1/auth/session-tokens";
    const { session_token } = (await call("POST", path, { body: { code } })).body;
    await call("POST", path, { body: { code } });
    await call("POST", path, { body: { code: `${code}x` } });
    await call("POST", path, { body: { code, token: code } });
    await call("GET", path, { key: code });
    await call("GET", path, { key: session_token });
    // Where the use of a code cannot be stored, its statement is logged.
    await withD1(
      (sql) => (sql.includes("nonces") ? d1Lost() : undefined),
      async () => {
        const headers = { "Idempotency-Key": canary("idempotency") };
        for (const each of [{}, headers]) {
          const answer = await call("POST", path, { body: { code: failing }, headers: each });
          expect(answer.status).toBe(503);
        }
      },
    );
    expect(lines.filter((line) => line.includes("D1_ERROR")).length).toBeGreaterThan(0);
    const secret = (each: string) => each.slice("drbc_".length);
    expectNone({
      code: secret(code),
      "code that could not be used": secret(failing),
      "session token": session_token,
      "every code": "drbc_",
      canaries: "canary-",
    });
  });

  test("holds nothing that was bound to a failed statement or was in a message that a queue refused", async () => {
    const { key } = await newOrganisation();
    const { body: joinable } = await create(key, { join_code: true });
    const secrets = { note: canary("note"), hook: canary("hook"), name: canary("name") };
    const body = {
      metadata: { note: secrets.note },
      webhook_url: `${newMailbox().url}?${secrets.hook}`,
      join_code: true,
    };
    const tables = ["session", "join_codes", "idempotency_keys", "owed_events", "journals", "keys"];
    for (const table of tables) {
      await withD1(
        (sql) => (sql.includes(`"${table}`) ? d1Lost() : undefined),
        async () => {
          await create(key, body, { "Idempotency-Key": canary("idempotency") });
          await create(key, body);
          await join(joinable.join_code);
        },
      );
    }
    await withJournals(journalUnreachable, () => create(key, { metadata: { note: secrets.note } }));
    await withD1(d1Lost, async () => {
      const root = env.DRAWBRIDGE_ROOT_TOKEN;
      await call("POST", "/v1/organisations", { key: root, body: { name: secrets.name } });
      await list(newToken());
    });
    expect(lines.filter((line) => line.includes("D1_ERROR")).length).toBeGreaterThan(2);
    expectNone({ ...secrets, key, "join code": joinable.join_code, canaries: "canary-" });
  });

  test("holds nothing of an unreadable body or a hostile path", async () => {
    const { key } = await newOrganisation();
    const text = canary("text");
    await create(key, `{"note":"${text}`);
    await create(key, { [text]: text, ttl_seconds: text, metadata: { [text]: 1 } });
    await call("GET", `/v1/relays/sessions/${text}?${text}=${text}`, { key });
    await call("GET", `/${text}?${text}`, { key, headers: { "X-Request-Id": `${text}/` } });
    await call("GET", "/nowhere", { headers: { "X-Request-Id": `"${text}"`, Cookie: text } });
    expectNone({ text, key });
  });
});
