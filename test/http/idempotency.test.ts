/**
 * Idempotency-Key: the first answer to a POST or PATCH is kept for a day, encrypted, and is given
 * to every repeat.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../support/client";
import { moveClock, stopClock } from "../support/clock";
import { newGate, withD1 } from "../support/d1";
import { insertKey, newKey } from "../support/keys";
import {
  create,
  createOnce,
  liveSessions,
  read,
  remove,
  revoke,
  SESSIONS,
} from "../support/sessions";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

afterEach(() => {
  vi.useRealTimers();
});

describe("a POST that is sent again with its Idempotency-Key", () => {
  test("is done once and answered with the first answer", async () => {
    const { key } = await newOrganisation();
    const body = { users: [{ ip: "1.1.1.1" }] };
    const first = await createOnce(key, "k-1", body);
    expect(first.headers.get("Idempotent-Replayed")).toBeNull();
    for (let i = 0; i < 3; i++) {
      const again = await createOnce(key, "k-1", body);
      expect([again.status, again.text]).toEqual([200, first.text]);
      expect(again.headers.get("Content-Type")).toBe(first.headers.get("Content-Type"));
      expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    }
    expect(await liveSessions(key)).toBe(1);
  });

  test("has a request id of its own each time", async () => {
    const { key } = await newOrganisation();
    const ids = [await createOnce(key, "k-1"), await createOnce(key, "k-1")].map(({ headers }) =>
      headers.get("X-Request-Id"),
    );
    expect(ids[0]).toBeTruthy();
    expect(ids[1]).toBeTruthy();
    expect(ids[0]).not.toBe(ids[1]);
  });

  test("adds one user, and removes one user", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key, { users: [{ ip: "1.1.1.1" }] })).body;
    const once = (path: string, body: unknown, name: string) =>
      call("POST", path, { key, body, headers: { "Idempotency-Key": name } });
    const user = { session_id: id, user_ip: "2.2.2.2" };
    const added = await once(`${SESSIONS}:authorize-user`, user, "add");
    expect((await once(`${SESSIONS}:authorize-user`, user, "add")).text).toBe(added.text);
    expect((await read(key, id)).body.session_users).toHaveLength(2);
    const token = added.body.session_user.authorization_token;
    const removal = { session_id: id, authorization_token: token };
    expect((await once(`${SESSIONS}:revoke-user`, removal, "cut")).status).toBe(200);
    expect((await once(`${SESSIONS}:revoke-user`, removal, "cut")).status).toBe(200);
    expect((await revoke(key, id, token)).status).toBe(404);
  });

  test("makes one organisation", async () => {
    const key = env.DRAWBRIDGE_ROOT_TOKEN;
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const body = { name: "Once" };
    const first = await call("POST", "/v1/organisations", { key, body, headers });
    const again = await call("POST", "/v1/organisations", { key, body, headers });
    expect(first.status).toBe(201);
    expect([again.status, again.text]).toEqual([201, first.text]);
  });
});

describe("an Idempotency-Key that was used", () => {
  test.each<[string, unknown]>([
    ["another value", { max_users: 3 }],
    ["another field", { max_users: 2, region: "weur" }],
    ["nothing", {}],
  ])("is refused for a body with %s", async (_, body) => {
    const { key } = await newOrganisation();
    await createOnce(key, "k", { max_users: 2 });
    const refused = await createOnce(key, "k", body);
    expect(refused.status).toBe(422);
    expect(Object.keys(refused.body)).toEqual(["message", "code"]);
    expect(await liveSessions(key)).toBe(1);
  });

  test("is refused for another route", async () => {
    const { key } = await newOrganisation();
    await createOnce(key, "k", {});
    const headers = { "Idempotency-Key": "k" };
    const refused = await call("POST", `${SESSIONS}:revoke-user`, { key, body: {}, headers });
    expect(refused.status).toBe(422);
  });

  test("is refused for another body with a problem, on our own surface", async () => {
    const key = env.DRAWBRIDGE_ROOT_TOKEN;
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    await call("POST", "/v1/organisations", { key, body: { name: "A" }, headers });
    const refused = await call("POST", "/v1/organisations", { key, body: { name: "B" }, headers });
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({ status: 422, code: "idempotency-key-reused" });
  });

  test("counts as another one with another API key, and in another organisation", async () => {
    const [mine, other] = [await newOrganisation(), await newOrganisation()];
    const second = await insertKey(mine.id);
    const answers = [
      await createOnce(mine.key, "k"),
      await createOnce(second.token, "k", { max_users: 2 }),
      await createOnce(other.key, "k"),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map(({ body }) => body.session_id)).size).toBe(3);
    expect(answers.map(({ headers }) => headers.get("Idempotent-Replayed"))).toEqual([
      null,
      null,
      null,
    ]);
  });

  test("answers repeats for a day, and is free after that", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const first = await createOnce(key, "k");
    moveClock(DAY - MINUTE);
    expect((await createOnce(key, "k")).text).toBe(first.text);
    moveClock(MINUTE + 1);
    const next = await createOnce(key, "k", { max_users: 2 });
    expect(next.status).toBe(200);
    expect(next.body.session_id).not.toBe(first.body.session_id);
    expect((await createOnce(key, "k", { max_users: 2 })).text).toBe(next.text);
  });
});

describe("a repeat that comes while the first request runs", () => {
  test("gets a conflict, and is told to come back", async () => {
    const { key } = await newOrganisation();
    const gate = newGate();
    const onStatement = (sql: string) => (sql.includes("session_counts") ? gate.wait() : undefined);
    const first = await withD1(onStatement, async () => {
      const running = createOnce(key, "k");
      await gate.reached;
      const second = await createOnce(key, "k");
      expect(second.status).toBe(409);
      expect(Object.keys(second.body)).toEqual(["message", "code"]);
      expect(Number(second.headers.get("Retry-After"))).toBeGreaterThan(0);
      const otherBody = await createOnce(key, "k", { max_users: 2 });
      expect(otherBody.status).toBe(422);
      gate.open();
      return running;
    });
    expect(first.status).toBe(200);
    expect((await createOnce(key, "k")).text).toBe(first.text);
    expect(await liveSessions(key)).toBe(1);
  });

  test.each([1, 2, 3])(
    "makes no session of its own, however many come at once (round %i)",
    async () => {
      const { key } = await newOrganisation();
      const twins = await Promise.all(Array.from({ length: 12 }, () => createOnce(key, "k")));
      for (const { status } of twins) expect([200, 409]).toContain(status);
      const made = twins.filter(({ status }) => status === 200);
      expect(made.filter(({ headers }) => !headers.get("Idempotent-Replayed"))).toHaveLength(1);
      expect(new Set(made.map(({ text }) => text)).size).toBe(1);
      expect(await liveSessions(key)).toBe(1);
    },
  );
});

describe("the text of an Idempotency-Key", () => {
  test.each(["a", "x".repeat(255), "!~", crypto.randomUUID(), "a/b?c=d&e;'\"--"])(
    "may be %s",
    async (idempotencyKey) => {
      const { key } = await newOrganisation();
      const first = await createOnce(key, idempotencyKey);
      expect(first.status).toBe(200);
      expect((await createOnce(key, idempotencyKey)).text).toBe(first.text);
    },
  );

  test.each<[string, string]>([
    ["empty", ""],
    ["of 256 characters", "x".repeat(256)],
    ["with a space", "a b"],
    ["with a tab", "a\tb"],
    ["with letters beyond ASCII", "clé"],
  ])("may not be %s", async (_, idempotencyKey) => {
    const { key } = await newOrganisation();
    const refused = await createOnce(key, idempotencyKey);
    expect(refused.status).toBe(400);
    expect(refused.body.message).toContain("Idempotency-Key");
    expect(await liveSessions(key)).toBe(0);
  });

  test("is checked for POST and PATCH only", async () => {
    const tenant = await newOrganisation();
    const { key } = tenant;
    const { session_id: id } = (await createOnce(key, "k")).body;
    const headers = { "Idempotency-Key": "a b" };
    const path = `${SESSIONS}/${id}`;
    const { id: keyId } = await newKey(tenant);
    const change = { key, body: { name: "Renamed" }, headers };
    expect((await call("PATCH", `/api-keys/${keyId}`, change)).status).toBe(400);
    expect((await call("GET", path, { key, headers })).status).toBe(200);
    expect((await call("DELETE", path, { key, headers })).status).toBe(204);
  });
});

describe("a caller who is not authenticated", () => {
  test("gets nothing of an answer that was kept", async () => {
    const { id, key } = await newOrganisation();
    await createOnce(key, "k");
    const reader = await insertKey(id, { permissions: ["relays:read"] });
    const refused = await createOnce(reader.token, "k");
    expect(refused.status).toBe(403);
    expect(refused.headers.get("Idempotent-Replayed")).toBeNull();
  });
});

describe("the kept answer in D1", () => {
  test("shows nothing of the answer, and differs where two answers are alike", async () => {
    const { id, key } = await newOrganisation();
    const { body } = await createOnce(key, "kept-1", { metadata: { note: "canary-text" } });
    await remove(key, body.session_id);
    await createOnce(key, "kept-2", []);
    await createOnce(key, "kept-3", []);
    const { results } = await env.DB.prepare(
      "select idempotency_key as name, answer from idempotency_keys where organisation_id = ?",
    )
      .bind(id)
      .all<{ name: string; answer: string }>();
    const answers = new Map(results.map(({ name, answer }) => [name, answer]));
    expect([...answers.keys()].sort()).toEqual(["kept-1", "kept-2", "kept-3"]);
    const secrets = [body.session_id, String(body.authorization_token), "canary-text", "message"];
    for (const answer of answers.values()) {
      const readable = answer + Buffer.from(answer, "base64").toString("latin1");
      for (const secret of secrets) expect(readable).not.toContain(secret);
    }
    expect(answers.get("kept-2")).not.toBe(answers.get("kept-3"));
  });

  test("shows nothing of a new organisation's key and secrets", async () => {
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const { body } = await call("POST", "/v1/organisations", {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      body: { name: "Kept" },
      headers,
    });
    const row = await env.DB.prepare("select * from idempotency_keys where idempotency_key = ?")
      .bind(headers["Idempotency-Key"])
      .first<{ answer: string }>();
    expect(row?.answer.length).toBeGreaterThan(100);
    const readable = `${JSON.stringify(row)}${Buffer.from(row?.answer ?? "", "base64").toString("latin1")}`;
    const secrets = [body.api_key.token, body.api_key.access_key.secret, body.webhook_secret];
    for (const secret of secrets) expect(readable).not.toContain(secret);
  });
});
