/**
 * Device tokens: how they are replaced, stored, rotated, verified and ended, and when a device was
 * last seen.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { whileD1Refuses } from "../support/d1-refuses";
import {
  ask,
  decide,
  deviceEvents,
  newApplication,
  newDevice,
  pair,
  poll,
  request,
  type TestApplication,
  type TestDevice,
  verify,
} from "../support/devices";
import { recordedIn } from "../support/journals";
import { eventually } from "../support/pipeline";

afterEach(() => {
  vi.useRealTimers();
});

const pathOf = (at: TestApplication, { id }: TestDevice) => `${at.path}/devices/${id}`;

function rotate(
  at: TestApplication,
  device: TestDevice,
  body: object,
  token = at.key,
  scheme = "Bearer",
) {
  return call("POST", `${pathOf(at, device)}/tokens:rotate`, {
    headers: { Authorization: `${scheme} ${token}` },
    body,
  });
}

function revoke(at: TestApplication, device: TestDevice, role = "operator") {
  return call("POST", `${pathOf(at, device)}/tokens:revoke`, { key: at.key, body: { role } });
}

function remove(at: TestApplication, device: TestDevice) {
  return call("DELETE", pathOf(at, device), { key: at.key });
}

describe("a device token", () => {
  test("replaces the one before it: a device has one for each role", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const wish = { roles: ["node"], scopes: ["operator.read", "node.camera"] };
    const { token } = await pair(at, device, wish);
    const node = await ask(at, device, { role: "node", scopes: ["node.camera"] });
    expect([node.status, node.body.role, node.body.scopes]).toEqual([200, "node", ["node.camera"]]);
    expect((await verify(at, token)).valid).toBe(true);
    const fresh = await ask(at, device);
    expect((await verify(at, token)).code).toBe("revoked");
    expect((await verify(at, fresh.body.device_token)).valid).toBe(true);
    expect((await verify(at, node.body.device_token)).valid).toBe(true);
  });

  test("is stored only as a digest, in no table as itself", async () => {
    const at = await newApplication();
    const { token } = await pair(at, await newDevice());
    for (const table of ["device_tokens", "devices", "pairing_requests", "used_nonces"]) {
      const { results } = await env.DB.prepare(`select * from ${table}`).all();
      expect(results.length).toBeGreaterThan(0);
      expect(JSON.stringify(results)).not.toContain(token.slice(5));
    }
    const recorded = await eventually(async () => {
      const all = await recordedIn(at.id);
      expect(all.length).toBeGreaterThan(0);
      return all;
    });
    expect(JSON.stringify(recorded)).not.toContain(token.slice(5));
  });

  test("is never shown to the operator who approved", async () => {
    const at = await newApplication();
    const asked = await request(at, await newDevice());
    const approved = await decide(at, asked.id, "approve");
    expect(approved.status).toBe(200);
    expect(approved.text).not.toContain("drbd_");
  });

  test("is refused with its own reason when it is unknown or revoked, its device was removed, or a scope is missing", async () => {
    const [at, other] = [await newApplication(), await newApplication()];
    const [kept, revoked, removed] = [await newDevice(), await newDevice(), await newDevice()];
    const good = await pair(at, kept);
    const bad = await pair(at, revoked);
    const gone = await pair(at, removed);
    await revoke(at, revoked);
    await remove(at, removed);
    const device = { device_id: kept.id, application_id: at.application, role: "operator" };
    const none = { device_id: null, application_id: null, role: null, scopes: [] };
    expect(await verify(at, good.token, "operator.read")).toMatchObject({
      valid: true,
      code: "valid",
    });
    expect(await verify(at, good.token, "operator.write")).toEqual({
      ...device,
      valid: false,
      code: "scope-missing",
      scopes: ["operator.read"],
    });
    expect(await verify(at, bad.token)).toMatchObject({ valid: false, code: "revoked" });
    expect(await verify(at, gone.token)).toMatchObject({ valid: false, code: "device-removed" });
    for (const token of [`drbd_${"A".repeat(43)}`, "drbd_", "nonsense", at.key]) {
      expect(await verify(at, token)).toEqual({ ...none, valid: false, code: "not-found" });
    }
    // For another organisation's gateway the token does not exist, whether or not it works here.
    for (const { token } of [good, bad, gone]) {
      expect(await verify(other, token)).toEqual({ ...none, valid: false, code: "not-found" });
    }
  });

  test("keeps within the approved scopes and the caller's own when it is rotated", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device, { scopes: ["operator.write"] });
    const beyond = await rotate(at, device, { role: "operator", scopes: ["operator.admin"] });
    expect([beyond.status, beyond.body.code]).toEqual([400, "exceeds-approved"]);
    const role = await rotate(at, device, { role: "node" });
    expect([role.status, role.body.code]).toEqual([404, "role-not-approved"]);

    // The operator narrowed it: the device gets no more than that, though more is approved.
    await rotate(at, device, { role: "operator", scopes: ["operator.read"] });
    const collected = await ask(at, device, { scopes: ["operator.write"] });
    expect([collected.status, collected.body.scopes]).toEqual([200, ["operator.read"]]);
    const own = await rotate(
      at,
      device,
      { role: "operator", scopes: ["operator.write"] },
      collected.body.device_token,
    );
    expect([own.status, own.body.code]).toEqual([403, "scope-not-held"]);
    // The approved scopes still contain it, and the caller holds it.
    await rotate(at, device, { role: "operator", scopes: ["operator.talk"] });
    const again = await ask(at, device, { scopes: ["operator.write"] });
    expect(again.body.scopes).toEqual(["operator.talk"]);
  });

  test("is not shown to an operator who rotates it: the old one stops, and the device collects the new one by a signed request", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const rotated = await rotate(at, device, { role: "operator" });
    expect(rotated.status).toBe(200);
    expect(rotated.text).not.toContain("drbd_");
    expect(rotated.body.tokens).toEqual([
      { role: "operator", status: "to-collect", scopes: ["operator.read"] },
    ]);
    expect((await verify(at, token)).code).toBe("revoked");
    const collected = await ask(at, device);
    expect(collected.status).toBe(200);
    expect((await verify(at, collected.body.device_token)).valid).toBe(true);
    expect(await deviceEvents(at)).toContain("device.token.rotated");
  });

  test("is answered as device_token to a device that rotates it with that token", async () => {
    const at = await newApplication();
    const [device, other] = [await newDevice(), await newDevice()];
    const { token } = await pair(at, device, { scopes: ["operator.write"] });
    const { token: others } = await pair(at, other);
    const body = { role: "operator", scopes: ["operator.read"] };
    const rotated = await rotate(at, device, body, token);
    expect(rotated.body).toEqual({
      device_token: expect.stringMatching(/^drbd_/),
      role: "operator",
      scopes: ["operator.read"],
    });
    expect((await verify(at, rotated.body.device_token)).scopes).toEqual(["operator.read"]);
    for (const wrong of [token, others, `drbd_${"A".repeat(43)}`]) {
      const answer = await rotate(at, device, body, wrong);
      expect([answer.status, answer.body.code]).toEqual([401, "wrong-device-token"]);
    }
    const role = await rotate(at, device, { role: "node" }, rotated.body.device_token);
    expect([role.status, role.body.code]).toEqual([403, "wrong-role"]);
    const again = await rotate(at, device, body, rotated.body.device_token, "token");
    expect([again.status, again.body.role]).toEqual([200, "operator"]);
  });

  test("stops with a revocation or a removal, and only a new approval lets the device back in", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    expect((await revoke(at, device)).body.tokens[0].status).toBe("revoked");
    expect((await verify(at, token)).valid).toBe(false);
    expect((await rotate(at, device, { role: "operator" })).body.code).toBe("token-revoked");
    expect((await rotate(at, device, { role: "operator" }, token)).status).toBe(401);
    const asked = await request(at, device);
    await decide(at, asked.id, "approve");
    const back = await poll(at, asked);
    expect((await verify(at, back.body.device_token)).valid).toBe(true);

    expect((await remove(at, device)).status).toBe(204);
    expect((await verify(at, back.body.device_token)).code).toBe("device-removed");
    expect((await remove(at, device)).status).toBe(404);
    expect((await revoke(at, device)).status).toBe(404);
    const again = await request(at, device);
    await decide(at, again.id, "approve");
    expect((await verify(at, back.body.device_token)).code).toBe("revoked");
    expect(await deviceEvents(at)).toEqual(
      expect.arrayContaining(["device.removed", "device.token.revoked"]),
    );
  });

  test("can no longer be collected after the device is revoked or removed", async () => {
    const at = await newApplication();
    for (const end of [revoke, remove]) {
      const device = await newDevice();
      const asked = await request(at, device);
      await decide(at, asked.id, "approve");
      await end(at, device);
      expect((await poll(at, asked)).body).toEqual({ status: "approved" });
    }
  });
});

describe("the time at which a device was last seen", () => {
  test("does not keep a token from being verified when it cannot be written", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const verified = await whileD1Refuses(/set "last_seen_at"/, () => verify(at, token));
    expect(verified).toMatchObject({ valid: true, code: "valid", device_id: device.id });
    const rotated = await whileD1Refuses(/set "last_seen_at"/, () =>
      rotate(at, device, { role: "operator" }, token),
    );
    expect(rotated.status).toBe(200);
  });

  test("moves when a token is verified, at most once a minute for each device", async () => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const seen = async () =>
      (await call("GET", pathOf(at, device), { key: at.key })).body.last_seen_at;
    expect(await seen()).toBeNull();
    const time = (after: number) => new Date(start + after).toISOString();
    for (const [after, shown] of [
      [0, 0],
      [30_000, 0],
      [59_999, 0],
      [60_000, 60_000],
      [119_999, 60_000],
      [120_000, 120_000],
    ] as const) {
      vi.setSystemTime(start + after);
      await verify(at, token);
      // It is written after the answer.
      await eventually(async () => expect(await seen()).toBe(time(shown)));
    }
    // A token that does not work moves nothing.
    vi.setSystemTime(start + 600_000);
    await revoke(at, device);
    await verify(at, token);
    expect(await seen()).toBe(time(120_000));
  });
});
