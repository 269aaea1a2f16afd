/**
 * A device from its request to its removal, over HTTP: request, list, decision, token,
 * verification.
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
  pair,
  poll,
  request,
  verify,
} from "../support/devices";
import { eventually } from "../support/eventually";
import { settledIn } from "../support/journals";

afterEach(() => {
  vi.useRealTimers();
});

describe("a device that pairs", () => {
  test("makes a request, is shown to operators, is approved, and collects its token once", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const device = await newDevice();
    const answer = await ask(at, device, { platform: " Linux ", family: "Server" });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ status: "pending", interval: 5 });
    expect(Date.parse(answer.body.expires_at)).toBe(Date.now() + 300_000);
    const asked = { id: answer.body.pair_request_id, pollToken: answer.body.poll_token };
    expect((await poll(at, asked)).body).toEqual({ status: "pending" });

    const shown = await findRequest(at, asked.id, "pending");
    expect(shown).toMatchObject({
      device_id: device.id,
      public_key: device.publicKey,
      fingerprint: answer.body.fingerprint,
      platform: "linux",
      device_family: "server",
      remote_ip: device.ip,
      decided_by: null,
      decided_by_email: null,
    });
    expect(answer.body.fingerprint).toMatch(/^[34679ACDEFGHJKMNPQRTUVWXY]{8}$/);

    const approved = await decide(at, asked.id, "approve", { digest: shown.digest });
    expect(approved.body).toMatchObject({
      status: "approved",
      granted: { role: "operator", roles: ["operator"], scopes: ["operator.read"] },
    });
    expect(approved.body.decided_by).toEqual(expect.any(Number));

    vi.setSystemTime(Date.now() + 5_000);
    const first = await poll(at, asked);
    expect(first.body).toEqual({
      status: "approved",
      device_token: expect.stringMatching(/^drbd_[A-Za-z0-9_-]{43}$/),
      role: "operator",
      scopes: ["operator.read"],
    });
    vi.setSystemTime(Date.now() + 5_000);
    expect((await poll(at, asked)).body).toEqual({ status: "approved" });
    expect(await verify(at, first.body.device_token)).toEqual({
      valid: true,
      code: "valid",
      device_id: device.id,
      application_id: at.application,
      role: "operator",
      scopes: ["operator.read"],
    });
  });

  test("is told slow_down when it polls faster than the interval, and answered when it polls in time", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const asked = await request(at, await newDevice());
    expect((await poll(at, asked)).status).toBe(200);
    vi.setSystemTime(Date.now() + 4_000);
    const early = await poll(at, asked);
    expect([early.status, early.body.code]).toEqual([429, "slow_down"]);
    vi.setSystemTime(Date.now() + 1_000);
    expect((await poll(at, asked)).status).toBe(200);
  });

  test("can poll only with its own poll token", async () => {
    const at = await newApplication();
    const [mine, other] = [
      await request(at, await newDevice()),
      await request(at, await newDevice()),
    ];
    for (const pollToken of [other.pollToken, `${mine.pollToken}x`, at.key, "drbp_"]) {
      const answer = await poll(at, { id: mine.id, pollToken });
      expect([answer.status, answer.body.code]).toEqual([401, "wrong-poll-token"]);
    }
    const answer = await call("GET", `${at.path}/pairing/requests/${mine.id}`);
    expect([answer.status, answer.body.code]).toEqual([401, "unauthenticated"]);
    expect(answer.body.detail).toContain("token <poll token>");
  });

  test("is listed, labelled and shown to operators, newest first, page by page", async () => {
    const at = await newApplication();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const device = await newDevice();
      await pair(at, device);
      ids.unshift(device.id);
    }
    const first = await call("GET", `${at.path}/devices?limit=2`, { key: at.key });
    const cursor = first.body.next_cursor;
    const second = await call("GET", `${at.path}/devices?limit=2&cursor=${cursor}`, {
      key: at.key,
    });
    const listed = [...first.body.data, ...second.body.data];
    expect(listed.map(({ device_id }: { device_id: string }) => device_id)).toEqual(ids);
    expect(second.body.next_cursor).toBeNull();

    const one = `${at.path}/devices/${ids[0]}`;
    await call("PATCH", one, { key: at.key, body: { label: "Bench" } });
    const { body } = await call("GET", one, { key: at.key });
    expect(body).toMatchObject({
      label: "Bench",
      role: "operator",
      tokens: [{ role: "operator", status: "active", scopes: ["operator.read"] }],
    });
  });

  test("leaves its history: the operator who decided, when, and what was granted", async () => {
    const at = await newApplication();
    const approved = await request(at, await newDevice());
    const rejected = await request(at, await newDevice());
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const pending = await request(at, await newDevice());
    await decide(at, approved.id, "approve");
    await decide(at, rejected.id, "reject", { reason: "unknown to us" });
    const all = await call("GET", `${at.path}/pairing/requests?limit=2`, { key: at.key });
    expect(all.body.data.map((each: { status: string }) => each.status)).toEqual([
      "pending",
      "rejected",
    ]);
    const path = `${at.path}/pairing/requests?limit=2&cursor=${all.body.next_cursor}`;
    const rest = await call("GET", path, { key: at.key });
    expect(rest.body).toMatchObject({ next_cursor: null, data: [{ status: "approved" }] });
    expect(all.body.data[0].pair_request_id).toBe(pending.id);
    const shown = await findRequest(at, rejected.id, "rejected");
    expect(shown).toMatchObject({ reason: "unknown to us", granted: null });
    expect(shown.decided_by).toEqual(expect.any(Number));
    expect(Date.parse(shown.decided_at)).toBe(Date.now());
  });

  test("has each of its events recorded, and none stays owed", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    await call("DELETE", `${at.path}/devices/${device.id}`, { key: at.key });
    expect(await deviceEvents(at)).toEqual([
      "device.pair.approved",
      "device.pair.requested",
      "device.removed",
    ]);
    await eventually(async () => {
      const owed = await env.DB.prepare("select id from owed_events where organisation_id = ?")
        .bind(at.id)
        .all();
      expect(owed.results).toEqual([]);
    });
  });

  test("leaves no token, secret or signature in lists and events", async () => {
    const at = await newApplication();
    const { token } = await pair(at, await newDevice());
    const lists = await Promise.all([
      call("GET", `${at.path}/pairing/requests`, { key: at.key }),
      call("GET", `${at.path}/devices`, { key: at.key }),
    ]);
    const stored = await settledIn(at.id);
    const digest = Buffer.from(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)),
    ).toString("base64url");
    const texts = [
      ...lists.map(({ text }) => text),
      ...stored.map(({ event }) => JSON.stringify(event)),
    ];
    for (const text of texts) {
      expect(text).not.toContain(token);
      expect(text).not.toContain(digest);
      expect(text).not.toContain("drbp_");
    }
    expect(texts.length).toBeGreaterThan(3);
  });
});
