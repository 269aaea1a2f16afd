/**
 * An Idempotency-Key when D1 or the Worker fails: what was done is not done again, and what was not
 * done may be tried again.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Answer, call, newOrganisation } from "../support/client";
import { moveClock, stopClock } from "../support/clock";
import { d1Lost, newGate, withD1, withD1Answers } from "../support/d1";
import { keyBody } from "../support/keys";
import { eventually } from "../support/pipeline";
import { create, createOnce, liveSessions, revoke, SESSIONS } from "../support/sessions";

const MINUTE = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

/** The answer to a repeat, once the first request has finished. */
function afterConflicts(send: () => Promise<Answer>): Promise<Answer> {
  return eventually(async () => {
    const answer = await send();
    expect(answer.status, answer.text).not.toBe(409);
    return answer;
  });
}

describe("a repeat with an Idempotency-Key after the deployment's secret has changed", () => {
  test("is told that the answer is lost, and does nothing again", async () => {
    const { id, key } = await newOrganisation();
    expect((await createOnce(key, "k")).status).toBe(200);
    // As after a change of the secret: no kept answer can be read, and the same request has another
    // digest.
    const sealed = Buffer.alloc(64, 7).toString("base64");
    await env.DB.prepare(
      "update idempotency_keys set answer = ?, request_digest = 'other' where organisation_id = ?",
    )
      .bind(sealed, id)
      .run();
    const again = await createOnce(key, "k");
    expect(again.status).toBe(409);
    expect(again.text).toContain("is lost");
    expect(await liveSessions(key)).toBe(1);
  });
});

describe("a request with an Idempotency-Key", () => {
  test("runs again under the same key when it broke before it was done", async () => {
    const { key } = await newOrganisation();
    const body = { join_code: true };
    const broken = await withD1(
      (sql) => (sql.includes("join_codes") ? d1Lost() : undefined),
      () => createOnce(key, "k", body),
    );
    expect(broken.status).toBe(503);
    const again = await createOnce(key, "k", body);
    expect(again.status).toBe(200);
    expect(again.headers.get("Idempotent-Replayed")).toBeNull();
    expect((await createOnce(key, "k", body)).text).toBe(again.text);
  });

  test("after an API key was stored or refreshed, it is answered, and nothing is done again", async () => {
    const tenant = await newOrganisation();
    // The keys of the organisation cannot be read; that of the caller is looked up elsewhere.
    const isRead = /^select[\s\S]*from "organisation_keys"/;
    const headers = { "Idempotency-Key": "k" };
    const { key } = tenant;
    const make = () => call("POST", "/api-keys", { key, headers, body: keyBody(tenant) });
    const made = await withD1((sql) => (isRead.test(sql) ? d1Lost() : undefined), make);
    expect(made.status, made.text).toBe(201);
    expect((await make()).text).toBe(made.text);
    const body = { refreshApiToken: true };
    const path = `/api-keys/${made.body.id}`;
    let reads = 0;
    const refreshed = await withD1(
      // The key is read once, before it is changed.
      (sql) => (isRead.test(sql) && ++reads > 1 ? d1Lost() : undefined),
      () => call("PATCH", path, { key, body }),
    );
    expect(refreshed.status, refreshed.text).toBe(200);
    expect(refreshed.body.token.value).toMatch(/^drb_/);
  });

  test("is answered and done once when its answer cannot be kept at the first try", async () => {
    const { key } = await newOrganisation();
    const first = await withD1(
      (sql) => (sql.startsWith('update "idempotency_keys"') ? d1Lost() : undefined),
      () => createOnce(key, "k"),
    );
    expect(first.status).toBe(200);
    const again = await afterConflicts(() => createOnce(key, "k"));
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect(await liveSessions(key)).toBe(1);
  });

  test("is answered also when D1 never takes its answer", async () => {
    const { key } = await newOrganisation();
    const gate = newGate();
    const first = await withD1(
      (sql) => (sql.startsWith('update "idempotency_keys"') ? gate.wait() : undefined),
      () => createOnce(key, "k"),
    );
    expect(first.status).toBe(200);
    gate.open();
    const again = await afterConflicts(() => createOnce(key, "k"));
    expect(again.text).toBe(first.text);
  });

  test("is answered with its temporary refusal also when the claim of its key cannot be removed", async () => {
    const { key } = await newOrganisation();
    const { session_id: id, session_users } = (
      await create(key, { users: [{ ip: "1.1.1.1" }], max_users: 1 })
    ).body;
    const authorizeOnce = () =>
      call("POST", `${SESSIONS}:authorize-user`, {
        key,
        body: { session_id: id, user_ip: "2.2.2.2" },
        headers: { "Idempotency-Key": "k" },
      });
    const refused = await withD1(
      (sql) => (sql.startsWith('delete from "idempotency_keys"') ? d1Lost() : undefined),
      authorizeOnce,
    );
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain("max_users");
    await revoke(key, id, session_users[0].authorization_token);
    const again = await afterConflicts(() => authorizeOnce());
    expect(again.status).toBe(200);
  });

  test("does nothing when its key cannot be claimed, and runs under the same key a moment later", async () => {
    const { key } = await newOrganisation();
    let claims = 0;
    // The claim is stored, and D1's answer to it is lost.
    const first = await withD1Answers(
      (sql) => {
        if (!sql.startsWith('insert into "idempotency_keys"')) return;
        claims += 1;
        d1Lost();
      },
      () => createOnce(key, "k"),
    );
    expect([first.status, claims]).toEqual([503, 1]);
    expect(await liveSessions(key)).toBe(0);
    const again = await afterConflicts(() => createOnce(key, "k"));
    expect(again.status).toBe(200);
    expect(await liveSessions(key)).toBe(1);
  });

  test("never runs again when it is unknown what was done, and its caller is told to look", async () => {
    const { id, key } = await newOrganisation();
    stopClock();
    await createOnce(key, "k");
    // As a Worker leaves it that dies before it keeps the answer.
    await env.DB.prepare("update idempotency_keys set answer = null where organisation_id = ?")
      .bind(id)
      .run();
    moveClock(MINUTE - 1_000);
    const running = await createOnce(key, "k");
    expect(running.status).toBe(409);
    expect(running.headers.get("Retry-After")).toBe("1");
    moveClock(1_001);
    expect((await createOnce(key, "k", { max_users: 2 })).status).toBe(422);
    const lost = await createOnce(key, "k");
    expect(lost.status).toBe(409);
    expect(lost.headers.get("Retry-After")).toBeNull();
    expect(lost.body.message).toContain("Look at what the first request did");
    expect(await liveSessions(key)).toBe(1);
  });
});
