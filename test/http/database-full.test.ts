/** While D1 is nearly full, creates are refused with a reason, and all else goes on. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createApp } from "../../src/app";
import { heardSize } from "../../src/db/size";
import { type Answer, call, newOrganisation, ORIGIN } from "../support/client";
import { advance, stopClock } from "../support/clock";
import { withD1 } from "../support/d1";
import { whileFullTo } from "../support/d1-size";
import { ask, decide, newApplication, newDevice, pair, request } from "../support/devices";
import { insertKey, newKey, patchKey } from "../support/keys";
import * as permissions from "../support/permissions";
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
import { goodRequest, TESTED_OPERATIONS } from "../support/tested-operations";
import { endpointWith, patch } from "../support/webhooks";

afterEach(() => {
  vi.useRealTimers();
});

function expectFull(answer: Answer): void {
  expect(answer.status, answer.text).toBe(503);
  expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
  expect(answer.text).toContain("database-full");
  expect(answer.text).toMatch(/nothing new is stored.*nothing of yours was.*can be ended/);
}

function expectDone(answer: Answer): void {
  expect([200, 204], answer.text).toContain(answer.status);
}

const creates = TESTED_OPERATIONS.filter(({ operation }) => operation.addsRows);

describe("while D1 is full to 90 %,", () => {
  test("the creates are these", () => {
    expect(creates.map(({ id }) => id).sort()).toEqual([
      "createApiKey",
      "createApplication",
      "createConnection",
      "createConnectionApiV2",
      "createOrganisation",
      "createRelayNode",
      "createRelayPermission",
      "createRelayPermissionApiV2",
      "createRelaySession",
      "createSetupCode",
      "createSource",
      "createSourceSession",
      "createUser",
      "createWebhookConfig",
      "createWebhookEndpoint",
      "hostRelaySession",
      "requestPairing",
    ]);
  });

  test.each(creates.filter(({ guard }) => guard !== "handler"))(
    "$id is refused, and works again when there is room",
    async (tested) => {
      const tenant = await newOrganisation();
      const { path, body, status } = await goodRequest(tested, tenant);
      const { method } = tested.operation;
      const key = tested.guard === "root" ? env.DRAWBRIDGE_ROOT_TOKEN : tenant.key;
      const send = () => call(method, path, { key, body, ip: anyAddress() });
      expectFull(await whileFullTo(0.9, send));
      const later = await send();
      expect(later.status, later.text).toBe(status);
    },
  );

  test("a wrong credential, a missing permission and a wrong body are refused for what they are", async () => {
    const tenant = await newOrganisation();
    const { token } = await insertKey(tenant.id, { permissions: ["relays:read"] });
    await whileFullTo(0.95, async () => {
      expect((await create("nonsense")).status).toBe(401);
      expect((await create(token)).status).toBe(403);
      expect((await create(tenant.key, { users: "all" })).status).toBe(400);
    });
  });

  test("sessions that live go on: joins, users, ends", async () => {
    const { key } = await newOrganisation();
    const { body } = await create(key, { join_code: true, max_users: 4 });
    await whileFullTo(0.99, async () => {
      expectDone(await join(body.join_code));
      const authorised = await authorize(key, body.session_id);
      expectDone(authorised);
      const user = authorised.body.session_user.authorization_token;
      expectDone(await revoke(key, body.session_id, user));
      expectDone(await read(key, body.session_id));
      expectDone(await remove(key, body.session_id));
    });
    expect((await list(key)).body.total_count).toBe(0);
  });

  test("keys, endpoints and permissions are changed and deleted", async () => {
    const tenant = await newOrganisation();
    const { key } = tenant;
    const { id } = await newKey(tenant);
    const endpoint = await endpointWith(tenant);
    await permissions.register(key, "a", "b");
    await permissions.create(key, "a", "b", "send");
    const path = permissions.at("a", "b", "send");
    await whileFullTo(0.99, async () => {
      expectDone(await patchKey(tenant, id, { refreshApiToken: true }));
      expectDone(await patchKey(tenant, id, { blocked: true }));
      expectDone(await call("DELETE", `/api-keys/${id}`, { key }));
      expectDone(await patch(tenant, endpoint, { enabled: false }));
      expectDone(await call("DELETE", endpoint.path, { key }));
      await permissions.set(key, path, true);
      expectDone(await call("DELETE", path, { key }));
    });
  });

  test("a new device cannot ask; one that waits is approved, and one that is paired gets its token", async () => {
    const application = await newApplication();
    const waiting = await newDevice();
    const { id } = await request(application, waiting);
    const paired = await newDevice();
    await pair(application, paired);
    const late = await newDevice();
    await whileFullTo(0.92, async () => {
      expectFull(await ask(application, late));
      // The same again is the same request.
      expect((await request(application, waiting)).id).toBe(id);
      expectFull(await ask(application, waiting, { scopes: ["operator.write"] }));
      await decide(application, id, "approve");
      expect((await ask(application, waiting)).status).toBe(200);
      expect((await ask(application, paired)).status).toBe(200);
    });
    expect((await ask(application, late)).status).toBe(202);
  });

  test("a retry gets the first answer again; a create that was refused may be sent again with its key", async () => {
    const { key } = await newOrganisation();
    const first = await create(key, {}, { "Idempotency-Key": "before" });
    await whileFullTo(0.9, async () => {
      const retry = await create(key, {}, { "Idempotency-Key": "before" });
      expect(retry.body.session_id).toBe(first.body.session_id);
      expectFull(await create(key, {}, { "Idempotency-Key": "during" }));
    });
    const again = await create(key, {}, { "Idempotency-Key": "during" });
    expect(again.status, again.text).toBe(200);
    expect((await list(key)).body.total_count).toBe(2);
  });
});

describe("what it costs to know:", () => {
  test("nothing while there is room: no statement is only about the size", async () => {
    const { key } = await newOrganisation();
    const statements: string[] = [];
    await withD1(
      (sql) => void statements.push(sql),
      () => create(key, { join_code: true }),
    );
    expect(statements.length).toBeGreaterThan(0);
    expect(statements).not.toContain("select 1");
  });

  test("an isolate hears of it with the key that it reads, before it creates anything", async () => {
    const tenant = await newOrganisation();
    const { token } = await insertKey(tenant.id);
    await whileFullTo(0.95, async () => expectFull(await create(token)), /"key_tokens"/);
    expect((await list(token)).body.total_count).toBe(0);
  });

  test("a create that is refused asks D1 nothing, and once in 10 seconds whether there is room again", async () => {
    stopClock();
    let share = 0.93;
    const statements: string[] = [];
    // The root token is in no table: nothing else tells the size.
    const key = env.DRAWBRIDGE_ROOT_TOKEN;
    const send = () =>
      withD1(
        (sql) => void statements.push(sql),
        () => call("POST", "/v1/organisations", { key, body: { name: "New" } }),
      );
    await whileFullTo(
      () => share,
      async () => {
        advance(9.9);
        expectFull(await send());
        expectFull(await send());
        expect(statements).toEqual([]);
        advance(0.1);
        expectFull(await send());
        expectFull(await send());
        expect(statements).toEqual(["select 1"]);
        share = 0.5;
        advance(9.9);
        expectFull(await send());
        advance(0.1);
        expect((await send()).status).toBe(201);
        expect(statements.slice(0, 2)).toEqual(["select 1", "select 1"]);
      },
    );
  });
});

describe("the limit", () => {
  async function askWith(limit: string, path: string, key: string, method = "POST") {
    const ctx = createExecutionContext();
    const answer = await createApp().fetch(
      new Request(ORIGIN + path, {
        method,
        headers: { Authorization: `token ${key}` },
        ...(method === "POST" ? { body: "{}" } : {}),
      }),
      { ...env, DATABASE_LIMIT_BYTES: limit } as unknown as Env,
      ctx,
    );
    const text = await answer.text();
    await waitOnExecutionContext(ctx);
    return { status: answer.status, text, body: JSON.parse(text) };
  }

  test("is a var: creates are refused from 90 % of it on, by the size that D1 has", async () => {
    const { key } = await newOrganisation();
    const { body } = await call("GET", "/v1/health");
    expect(body.d1).toMatchObject({ used_percent: 0, space: "enough" });
    const size = heardSize() ?? 0;
    expect(size).toBeGreaterThan(0);
    const sessions = "/v1/relays/sessions";
    const refused = await askWith(String(Math.floor(size / 0.9)), sessions, key);
    expect(refused).toMatchObject({ status: 503, body: { code: "database-full" } });
    expect(refused.text).toContain("(90 %)");
    expect((await askWith(String(2 * size), sessions, key)).status).toBe(200);
    expect((await askWith("0", sessions, key)).status).toBe(200);
  });

  test("is compared in the health, which stays 200", async () => {
    await call("GET", "/v1/health");
    const size = heardSize() ?? 0;
    const healthWith = (limit: number) =>
      askWith(String(Math.floor(limit)), "/v1/health", "x", "GET");
    expect(await healthWith(size / 0.7)).toMatchObject({
      status: 200,
      body: { status: "ok", d1: { used_percent: 70, space: "filling" } },
    });
    expect(await healthWith(size / 0.95)).toMatchObject({
      status: 200,
      body: { status: "ok", d1: { used_percent: 95, space: "full" } },
    });
    expect(await healthWith(0)).toMatchObject({
      status: 200,
      body: { d1: { used_percent: null, space: null } },
    });
  });
});
