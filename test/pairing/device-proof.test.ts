/** What a device signs: its text, its nonces and its clock. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import {
  findRequest,
  newAddress,
  newApplication,
  newDevice,
  newNonce,
  signedBody,
  type TestApplication,
  type Wish,
} from "../support/devices";

afterEach(() => {
  vi.useRealTimers();
});

function send(at: TestApplication, body: unknown) {
  return call("POST", `${at.path}/pairing/requests`, { body, ip: newAddress() });
}

describe("the signature of a pairing request", () => {
  type Body = Awaited<ReturnType<typeof signedBody>>;
  const wish: Wish = {
    scopes: ["operator.read", "operator.talk"],
    roles: ["node"],
    platform: "linux",
    family: "server",
    displayName: "Phone",
  };
  const tampered: [string, (body: Body) => unknown][] = [
    ["client.id", (b) => ({ ...b, client: { ...b.client, id: "other" } })],
    ["client.mode", (b) => ({ ...b, client: { ...b.client, mode: "other" } })],
    ["client.platform", (b) => ({ ...b, client: { ...b.client, platform: "windows" } })],
    ["client.device_family", (b) => ({ ...b, client: { ...b.client, device_family: "phone" } })],
    ["role", (b) => ({ ...b, role: "node", roles: ["operator"] })],
    ["scopes", (b) => ({ ...b, scopes: ["operator.read", "operator.admin"] })],
    ["the order of scopes", (b) => ({ ...b, scopes: ["operator.talk", "operator.read"] })],
    ["signed_at", (b) => ({ ...b, device: { ...b.device, signed_at: b.device.signed_at + 1 } })],
  ];

  test.each(tampered)("is refused when %s was changed after it", async (_, tamper) => {
    const at = await newApplication();
    const body = await signedBody(await newDevice(), wish, await newNonce(at));
    const answer = await send(at, tamper(body));
    expect([answer.status, answer.body.code]).toEqual([401, "wrong-signature"]);
    expect((await send(at, body)).status).toBe(202);
  });

  test("is refused with another nonce, of another key, and when it is garbage", async () => {
    const at = await newApplication();
    const [device, other] = [await newDevice(), await newDevice()];
    const body = await signedBody(device, wish, await newNonce(at));
    const byOther = await signedBody({ ...device, sign: other.sign }, wish, body.device.nonce);
    const nonce = await newNonce(at);
    for (const change of [
      { nonce },
      byOther.device,
      { signature: "x" },
      { signature: "A".repeat(86) },
    ]) {
      const answer = await send(at, { ...body, device: { ...body.device, ...change } });
      expect([answer.status, answer.body.code]).toEqual([401, "wrong-signature"]);
    }
  });

  test("covers no field with `|`, `,` or a control character: those are refused", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const fields = ["clientId", "clientMode", "platform", "family", "role"] as const;
    for (const field of fields) {
      for (const text of [
        "a|b",
        "a,b",
        "a\u0000b",
        "a\nb",
        "a\u007fb",
        "a\u202eb",
        "x".repeat(65),
      ]) {
        const odd: Wish = { scopes: [], [field]: text };
        const answer = await send(at, await signedBody(device, odd, await newNonce(at)));
        expect([field, answer.status, answer.body.code]).toEqual([field, 400, "invalid-body"]);
        const path = {
          clientId: "client.id",
          clientMode: "client.mode",
          platform: "client.platform",
        };
        const named = { ...path, family: "client.device_family", role: "role" }[field];
        expect(answer.body.errors.map((each: { path: string }) => each.path)).toContain(named);
      }
    }
    for (const scope of ["node.a|b", "node.a,b", "node.a\u0000b"]) {
      const odd: Wish = { role: "node", scopes: [scope] };
      const answer = await send(at, await signedBody(device, odd, await newNonce(at)));
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-body"]);
    }
  });

  test("goes with a display_name of at most 64 characters, without control or bidirectional characters", async () => {
    const at = await newApplication();
    const device = await newDevice();
    for (const displayName of ["x".repeat(65), "a\u0007b", "a\u202eb", "a\u2066b", "\ud800"]) {
      const answer = await send(at, await signedBody(device, { displayName }, await newNonce(at)));
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-body"]);
    }
    const displayName = "🦞".repeat(64);
    const answer = await send(at, await signedBody(device, { displayName }, await newNonce(at)));
    expect(answer.status).toBe(202);
    expect(await findRequest(at, answer.body.pair_request_id)).toMatchObject({
      display_name: displayName,
    });
  });

  test("is refused with what is wrong about any other body, and never with a failure of ours", async () => {
    const at = await newApplication();
    const body = await signedBody(await newDevice(), {}, await newNonce(at));
    const device = body.device;
    for (const bad of [
      "",
      "[]",
      "null",
      '{"device":',
      {},
      { ...body, extra: 1 },
      { ...body, device: null },
      { ...body, device: { ...device, signed_at: "now" } },
      { ...body, device: { ...device, signed_at: 1e300 } },
      { ...body, device: { ...device, signed_at: -1 } },
      { ...body, device: { ...device, nonce: "x".repeat(200) } },
      { ...body, scopes: "operator.read" },
      { ...body, scopes: [1] },
      { ...body, roles: [] },
      { ...body, silent: "yes" },
      { ...body, setup_code: "" },
    ]) {
      const answer = await send(at, bad);
      expect([answer.status, answer.body.code]).toEqual([400, "invalid-body"]);
    }
  });
});

describe("the nonce of a challenge", () => {
  test("is used once", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const body = await signedBody(device, {}, await newNonce(at));
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(at, body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, ...Array(7).fill(409)]);
    const late = await send(at, body);
    expect([late.status, late.body.code]).toEqual([409, "nonce-used"]);
    // Another device cannot use the nonce either, and neither can another kind of request.
    const other = await signedBody(await newDevice(), { scopes: [] }, body.device.nonce);
    expect((await send(at, other)).body.code).toBe("nonce-used");
  });

  test("belongs to one application", async () => {
    const [at, elsewhere] = [await newApplication(), await newApplication()];
    const sibling = await newApplication(at);
    const body = await signedBody(await newDevice(), {}, await newNonce(at));
    for (const other of [elsewhere, sibling]) {
      const answer = await send(other, body);
      expect([answer.status, answer.body.code]).toEqual([401, "unknown-nonce"]);
    }
    expect((await send(at, body)).status).toBe(202);
  });

  test("is one that we made, unchanged, and at most 120 s old", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const at = await newApplication();
    const device = await newDevice();
    const nonce = await newNonce(at);
    const flipped = `${nonce.slice(0, 20)}${nonce[20] === "A" ? "B" : "A"}${nonce.slice(21)}`;
    for (const odd of [flipped, nonce.slice(0, -4), `${nonce}=`, "", crypto.randomUUID()]) {
      const answer = await send(at, await signedBody(device, {}, odd));
      expect([answer.status, answer.body.code]).toEqual([401, "unknown-nonce"]);
    }
    vi.setSystemTime(Date.now() + 119_999);
    const other = await signedBody(await newDevice(), {}, nonce);
    expect((await send(at, other)).status).toBe(202);
    vi.setSystemTime(Date.now() + 1);
    const answer = await send(at, await signedBody(device, {}, nonce));
    expect([answer.status, answer.body.code]).toEqual([401, "nonce-expired"]);
  });

  test("goes with a `signed_at` within 120 s of our time", async () => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const at = await newApplication();
    const device = await newDevice();
    for (const [off, status] of [
      [-120_001, 401],
      [120_001, 401],
      [-120_000, 202],
      [120_000, 202],
    ] as const) {
      const nonce = await newNonce(at);
      vi.setSystemTime(start + off);
      const body = await signedBody(device, {}, nonce);
      vi.setSystemTime(start);
      const answer = await send(at, body);
      expect([off, answer.status]).toEqual([off, status]);
      if (status === 401) expect(answer.body.code).toBe("stale-signature");
    }
  });

  test("comes with the server's time, and a wrong clock is told the difference", async () => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const at = await newApplication();
    const device = await newDevice();
    const server_time = new Date(start).toISOString();
    const challenge = await call("POST", `${at.path}/pairing/challenges`);
    expect(challenge.body).toEqual({
      nonce: expect.any(String),
      expires_at: new Date(start + 120_000).toISOString(),
      server_time,
    });
    for (const [off, said] of [
      [-3_600_000, "3600 seconds behind"],
      [250_000, "250 seconds ahead of"],
    ] as const) {
      vi.setSystemTime(start + off);
      const body = await signedBody(device, {}, challenge.body.nonce);
      vi.setSystemTime(start);
      const answer = await send(at, body);
      expect(answer.body).toMatchObject({
        code: "stale-signature",
        server_time,
        clock_difference_ms: off,
      });
      expect(answer.body.detail).toContain(`${said} the server's, which is ${server_time}`);
    }
  });

  test("is stored only when it is used", async () => {
    const at = await newApplication();
    const { rowsOf, written } = await import("../support/rows");
    const rows = await rowsOf(async () => {
      for (let i = 0; i < 5; i++) await newNonce(at);
    });
    expect(written(rows)).toBe(0);
  });
});
