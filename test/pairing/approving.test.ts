/**
 * Approving a pairing request, and setup codes: what an approval may give, and what the approver
 * must hold.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import {
  ask,
  decide,
  deviceEvents,
  findRequest,
  newApplication,
  newDevice,
  newKey,
  pair,
  poll,
  request,
  type TestApplication,
  verify,
} from "../support/devices";
import { insertKey } from "../support/keys";

afterEach(() => {
  vi.useRealTimers();
});

/** Approves over RPC, as an operator's tool does. */
async function approveByRpc(at: TestApplication, id: string, key: string) {
  const query = new URLSearchParams({
    Action: "ApprovePolarClawDevicePair",
    Version: "2017-08-01",
    ApplicationId: at.application,
    PairRequestId: id,
  });
  return call("POST", `/?${query}`, { key });
}

function setupCode(at: TestApplication, body: object, key = at.key) {
  return call("POST", `${at.path}/setup-codes`, { key, body: { ttl_seconds: 600, ...body } });
}

function device(at: TestApplication, id: string) {
  return call("GET", `${at.path}/devices/${id}`, { key: at.key });
}

describe("approving a pairing request", () => {
  test("needs every scope that the device's token will carry, on every surface", async () => {
    const at = await newApplication();
    const phone = await newDevice();
    const manages = ["devices:approve", "devices:list", "devices:manage", "operator.read"];
    const key = await newKey(at, manages);
    const asked = await request(at, phone, { scopes: ["operator.read", "operator.approvals"] });

    const refused = await decide(at, asked.id, "approve", {}, key);
    expect([refused.status, refused.body.code]).toEqual([403, "scope-not-held"]);
    const byRpc = await approveByRpc(at, asked.id, key);
    expect([byRpc.status, byRpc.body.Code]).toEqual([403, "Forbidden.RAM"]);
    const byCode = await setupCode(at, { role: "operator", scopes: ["operator.approvals"] }, key);
    expect([byCode.status, byCode.body.code]).toEqual([403, "scope-not-held"]);
    expect((await findRequest(at, asked.id)).status).toBe("pending");

    const narrowed = await decide(at, asked.id, "approve", { scopes: ["operator.read"] }, key);
    expect(narrowed.status).toBe(200);
    const path = `${at.path}/devices/${phone.id}/tokens:rotate`;
    const body = { role: "operator", scopes: ["operator.read"] };
    expect((await call("POST", path, { key, body })).status).toBe(200);
    const none = await newKey(at, ["devices:manage"]);
    const rotated = await call("POST", path, { key: none, body: { role: "operator" } });
    expect([rotated.status, rotated.body.code]).toEqual([403, "scope-not-held"]);
  });

  test("with an API key takes scopes from the key's permissions, with what they imply", async () => {
    const at = await newApplication();
    const key = await newKey(at, ["devices:approve", "operator.write", "node.camera"]);
    const wish = { roles: ["node"], scopes: ["operator.read", "operator.talk", "node.camera"] };
    const asked = await request(at, await newDevice(), wish);
    expect((await decide(at, asked.id, "approve", {}, key)).status).toBe(200);
    const more = await request(at, await newDevice(), { role: "node", scopes: ["node.voice"] });
    expect((await decide(at, more.id, "approve", {}, key)).status).toBe(403);
  });

  test("is never possible with a device token", async () => {
    const at = await newApplication();
    const { token } = await pair(at, await newDevice(), { scopes: ["operator.admin"] });
    const asked = await request(at, await newDevice());
    for (const verb of ["approve", "reject"] as const) {
      const answer = await call("POST", `${at.path}/pairing/requests/${asked.id}:${verb}`, {
        headers: { Authorization: `Bearer ${token}` },
        body: {},
      });
      expect([answer.status, answer.body.code]).toEqual([401, "unauthenticated"]);
    }
    expect((await approveByRpc(at, asked.id, token)).status).toBe(404);
    expect((await findRequest(at, asked.id)).status).toBe("pending");
  });

  test("is refused without the permission, which the error names", async () => {
    const at = await newApplication();
    const key = await newKey(at, ["devices:list", "operator.read"]);
    const asked = await request(at, await newDevice());
    const answer = await decide(at, asked.id, "approve", {}, key);
    expect(answer.status).toBe(403);
    expect(answer.body.detail).toContain("devices:approve");
  });

  test("may narrow the roles and scopes, and never widen them", async () => {
    const at = await newApplication();
    const wish = { roles: ["node"], scopes: ["operator.write", "node.camera"] };
    const asked = await request(at, await newDevice(), wish);
    for (const beyond of [
      { roles: ["operator", "gateway"] },
      { scopes: ["operator.admin"] },
      { scopes: ["operator.approvals"] },
      { scopes: ["node.voice"] },
      { roles: ["operator"], scopes: ["node.camera"] },
    ]) {
      const answer = await decide(at, asked.id, "approve", beyond);
      expect([answer.status, answer.body.code]).toEqual([400, "exceeds-request"]);
    }
    expect((await decide(at, asked.id, "approve", { roles: [] })).status).toBe(400);
    expect((await findRequest(at, asked.id)).status).toBe("pending");
    const narrowed = await decide(at, asked.id, "approve", { roles: ["node"] });
    expect(narrowed.body.granted).toEqual({
      role: "node",
      roles: ["node"],
      scopes: ["node.camera"],
    });
    expect((await poll(at, asked)).body).toMatchObject({ role: "node", scopes: ["node.camera"] });
  });

  test("may narrow a scope to one that it implies: operator.admin to operator.read", async () => {
    const at = await newApplication();
    const phone = await newDevice();
    const asked = await request(at, phone, { scopes: ["operator.admin"] });
    const scopes = ["operator.read", "operator.talk.secrets"];
    expect((await decide(at, asked.id, "approve", { scopes })).status).toBe(200);
    const { body } = await poll(at, asked);
    expect(body.scopes).toEqual(scopes);
    expect((await verify(at, body.device_token, "operator.write")).code).toBe("scope-missing");
  });

  const OTHERS = ["approvals", "questions", "pairing", "talk.secrets"];
  test.each([
    ["operator.admin", ["admin", "read", "write", "talk", ...OTHERS], []],
    ["operator.write", ["write", "read", "talk"], ["admin", ...OTHERS]],
    ["operator.read", ["read"], ["admin", "write", "talk", ...OTHERS]],
    ["operator.talk", ["talk"], ["admin", "read", "write", ...OTHERS]],
  ])(
    "counts all scopes under operator.admin, and .read and .talk under operator.write: %s",
    async (scope, implied, not) => {
      const at = await newApplication();
      const { token } = await pair(at, await newDevice(), { scopes: [scope] });
      for (const name of implied) {
        expect([name, (await verify(at, token, `operator.${name}`)).code]).toEqual([name, "valid"]);
      }
      for (const name of not) {
        const { code } = await verify(at, token, `operator.${name}`);
        expect([name, code]).toEqual([name, "scope-missing"]);
      }
    },
  );

  test("sets what the device has from then on, also when that is less than before", async () => {
    const at = await newApplication();
    const phone = await newDevice();
    const wide = { roles: ["node"], scopes: ["operator.admin", "node.camera"] };
    const { token } = await pair(at, phone, wide);
    const node = await ask(at, phone, { role: "node", scopes: ["node.camera"] });
    const asked = await request(at, phone, { ...wide, roles: ["node", "gateway"] });
    await decide(at, asked.id, "approve", { roles: ["operator"], scopes: ["operator.read"] });

    expect((await device(at, phone.id)).body).toMatchObject({
      roles: ["operator"],
      scopes: ["operator.read"],
    });
    // The token that the device has keeps only what is still approved; the token of the other role
    // has ended.
    expect(await verify(at, token)).toMatchObject({ valid: true, scopes: ["operator.read"] });
    expect((await verify(at, node.body.device_token)).code).toBe("revoked");
    // What was approved before has to be requested again.
    expect((await ask(at, phone, { scopes: ["operator.admin"] })).status).toBe(202);
  });

  test("needs scopes that belong to their role; an unknown scope is refused in the request", async () => {
    const at = await newApplication();
    const phone = await newDevice();
    for (const wish of [
      { scopes: ["operator.everything"] },
      { scopes: ["operator"] },
      { scopes: ["node.camera"] },
      { role: "node", scopes: ["operator.read"] },
      { role: "node", scopes: ["node"] },
      { role: "node", scopes: ["node."] },
      { role: "node.camera", scopes: ["node.camera.x"] },
      { role: "constructor", scopes: ["toString.x"] },
      { scopes: ["operator.read", "operator.read"] },
    ]) {
      const answer = await ask(at, phone, wish);
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-body"]);
    }
    expect((await ask(at, phone, { role: "constructor", scopes: ["constructor.x"] })).status).toBe(
      202,
    );
  });
});

describe("a setup code", () => {
  test("lets one device in without a decision, with the role and scopes that it covers", async () => {
    const at = await newApplication();
    const { status, body } = await setupCode(at, { role: "operator", scopes: ["operator.write"] });
    expect(status).toBe(201);
    const wish = { setupCode: body.setup_code, scopes: ["operator.read"] };
    const phone = await newDevice();
    const pendingBefore = await request(at, phone, { scopes: ["operator.admin"] });
    const answer = await ask(at, phone, wish);
    expect([answer.status, answer.body.scopes]).toEqual([200, ["operator.read"]]);
    expect(await verify(at, answer.body.device_token)).toMatchObject({ valid: true });
    expect(await findRequest(at, answer.body.pair_request_id)).toMatchObject({
      status: "approved",
      reason: "setup-code",
      decided_by: expect.any(Number),
    });
    expect((await findRequest(at, pendingBefore.id)).status).toBe("superseded");
    expect(await deviceEvents(at)).toEqual([
      "device.pair.approved",
      "device.pair.requested",
      "device.pair.superseded",
    ]);
    const second = await ask(at, await newDevice(), wish);
    expect([second.status, second.body.code]).toEqual([403, "invalid-setup-code"]);
  });

  test("lets one device in when many use it at once", async () => {
    const at = await newApplication();
    const { body } = await setupCode(at, { role: "operator", scopes: ["operator.read"] });
    const devices = await Promise.all(Array.from({ length: 8 }, newDevice));
    const answers = await Promise.all(
      devices.map((each) => ask(at, each, { setupCode: body.setup_code })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(403)]);
    const { body: list } = await call("GET", `${at.path}/devices`, { key: at.key });
    expect(list.data).toHaveLength(1);
  });

  test("covers its role and scopes, its application and its time, and no more", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const { body } = await setupCode(at, {
      role: "operator",
      scopes: ["operator.read"],
      ttl_seconds: 60,
    });
    const code = { setupCode: body.setup_code };
    const phone = await newDevice();
    for (const wish of [
      { scopes: ["operator.write"] },
      { roles: ["node"] },
      { role: "node", scopes: [] },
    ]) {
      const answer = await ask(at, phone, { ...wish, ...code });
      expect([answer.status, answer.body.code]).toEqual([403, "exceeds-setup-code"]);
    }
    const elsewhere = await newApplication(at);
    expect((await ask(elsewhere, phone, code)).body.code).toBe("invalid-setup-code");
    vi.setSystemTime(Date.now() + 60_000);
    expect((await ask(at, phone, code)).body.code).toBe("invalid-setup-code");
    for (const ttl_seconds of [0, 601, 1.5]) {
      const answer = await setupCode(at, { role: "operator", scopes: [], ttl_seconds });
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-body"]);
    }
  });

  test.each([
    ["was blocked", "blocked = 1"],
    ["expired", "expires_at = 1"],
    ["lost the permission", `permissions = '["operator.read"]'`],
    ["lost the scope", `permissions = '["devices:approve"]'`],
    ["left the organisation", "organisation_ids = '[999999]'"],
  ])("stops working once the key that made it %s", async (_, change) => {
    const at = await newApplication();
    const key = await insertKey(at.id, { permissions: ["devices:approve", "operator.read"] });
    const wish = { role: "operator", scopes: ["operator.read"] };
    const { body } = await setupCode(at, wish, key.token);
    await env.DB.prepare(`update api_keys set ${change} where id = ?`).bind(key.id).run();
    const refused = await ask(at, await newDevice(), { setupCode: body.setup_code });
    expect([refused.status, refused.body.code]).toEqual([403, "invalid-setup-code"]);
  });

  test("is signed in the token slot: a request signed without it is refused", async () => {
    const at = await newApplication();
    const { body } = await setupCode(at, { role: "operator", scopes: ["operator.read"] });
    const phone = await newDevice();
    const { newNonce, signedBody } = await import("../support/devices");
    const unsigned = await signedBody(phone, {}, await newNonce(at));
    const answer = await call("POST", `${at.path}/pairing/requests`, {
      body: { ...unsigned, setup_code: body.setup_code },
    });
    expect([answer.status, answer.body.code]).toEqual([401, "wrong-signature"]);
  });
});
