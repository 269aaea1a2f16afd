/** The life of a pairing request: how it is refreshed, superseded, decided and capped. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import {
  ask,
  decide,
  deviceEvents,
  findRequest,
  newAddress,
  newApplication,
  newDevice,
  pair,
  poll,
  request,
  type TestDevice,
  verify,
  type Wish,
} from "../support/devices";
import { runSweep } from "../support/sweep";

const MINUTE = 60_000;

function atFixedTime(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
}

function pass(milliseconds: number): void {
  vi.setSystemTime(Date.now() + milliseconds);
}

afterEach(() => {
  vi.useRealTimers();
});

describe("a pairing request", () => {
  test("is pending for 300 s after its last refresh", async () => {
    atFixedTime();
    const at = await newApplication();
    const device = await newDevice();
    const asked = await request(at, device);
    pass(299_999);
    expect((await poll(at, asked)).body.status).toBe("pending");
    expect((await request(at, device)).id).toBe(asked.id);
    pass(299_999);
    expect((await poll(at, asked)).body.status).toBe("pending");
    pass(1);
    expect((await findRequest(at, asked.id)).status).toBe("expired");
    pass(5_000);
    expect((await poll(at, asked)).body.status).toBe("expired");
    const late = await decide(at, asked.id, "approve");
    expect([late.status, late.body.code]).toEqual([409, "request-expired"]);
  });

  test("is the only pending one of its device", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await Promise.all(
      [["operator.read"], ["operator.write"], ["operator.admin"], ["operator.talk"]].map((scopes) =>
        ask(at, device, { scopes }),
      ),
    );
    const { body } = await call("GET", `${at.path}/pairing/requests?status=pending`, {
      key: at.key,
    });
    expect(body.data).toHaveLength(1);
  });

  test("keeps its pair_request_id and Ts when a retry asks for the same or less, and is refreshed", async () => {
    atFixedTime();
    const at = await newApplication();
    const device = await newDevice();
    const asked = await request(at, device, { scopes: ["operator.write", "operator.approvals"] });
    const before = await findRequest(at, asked.id);
    pass(MINUTE);
    const again = await request(at, device, { scopes: ["operator.read"], silent: true });
    expect(again).toEqual(asked);
    const after = await findRequest(at, asked.id);
    expect(after.requested_at).toBe(before.requested_at);
    expect(Date.parse(after.expires_at)).toBe(Date.parse(before.expires_at) + MINUTE);
    expect(after.scopes).toEqual(["operator.write", "operator.approvals"]);
    expect(await deviceEvents(at)).toEqual(["device.pair.requested"]);
  });

  test.each([
    ["a scope", { scopes: ["operator.read", "operator.approvals"] }],
    ["a role", { roles: ["node"] }],
    ["another role", { role: "node", scopes: [] }],
    ["another platform", { platform: "windows" }],
    ["another family", { family: "phone" }],
    ["another client", { clientId: "app" }],
    ["another mode", { clientMode: "ui" }],
    ["another name", { displayName: "Other" }],
    ["attention, after a silent one", { silent: false }],
  ])(
    "is superseded by one with a new id when the device asks for anything more: %s",
    async (_, more) => {
      const at = await newApplication();
      const device = await newDevice();
      const silent = "silent" in more;
      const wish = { scopes: ["operator.read", "operator.talk"], platform: "linux", silent };
      const old = await request(at, device, wish);
      const wider = { ...wish, ...more };
      const next = await request(at, device, wider);
      expect(next.id).not.toBe(old.id);
      expect(await findRequest(at, next.id)).toMatchObject({
        scopes: wider.scopes,
        platform: wider.platform,
        role: "role" in more ? more.role : "operator",
      });
      expect((await findRequest(at, old.id)).status).toBe("superseded");
      const late = await decide(at, old.id, "approve");
      expect([late.status, late.body.code]).toEqual([409, "request-superseded"]);
      const requested = Array(silent ? 1 : 2).fill("device.pair.requested");
      expect(await deviceEvents(at)).toEqual([...requested, "device.pair.superseded"]);
    },
  );

  test("never gives a device more than what was shown under its id", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const shown = await request(at, device, { scopes: ["operator.read"] });
    const wider = await request(at, device, { scopes: ["operator.admin"] });
    expect((await decide(at, shown.id, "approve")).status).toBe(409);
    expect((await poll(at, shown)).body).toEqual({ status: "superseded" });
    expect((await poll(at, wider)).body).toEqual({ status: "pending" });
  });

  test("changes nothing when the approval names another digest", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const first = await request(at, device, { scopes: ["operator.read"] });
    const { digest } = await findRequest(at, first.id);
    const second = await request(at, device, { scopes: ["operator.admin"] });
    const wrong = await decide(at, second.id, "approve", { digest });
    expect([wrong.status, wrong.body.code]).toEqual([409, "digest-mismatch"]);
    const right = await findRequest(at, second.id);
    expect(right.status).toBe("pending");
    expect((await decide(at, second.id, "approve", { digest: right.digest })).status).toBe(200);
  });

  test("has a digest of key, roles and scopes: the same for the same, another for any change", async () => {
    const digest = async (device: TestDevice, wish: Wish) => {
      const at = await newApplication();
      return (await findRequest(at, (await request(at, device, wish)).id)).digest;
    };
    const [device, other] = [await newDevice(), await newDevice()];
    const wish = { roles: ["node"], scopes: ["operator.read", "node.camera"] };
    const shown = await digest(device, wish);
    const again = { roles: ["node", "operator"], scopes: ["node.camera", "operator.read"] };
    expect(await digest(device, again)).toBe(shown);
    const changed = [
      await digest(other, wish),
      await digest(device, { ...wish, scopes: ["operator.read"] }),
      await digest(device, { ...wish, roles: ["node", "gateway"] }),
      await digest(device, { ...wish, role: "node", roles: ["operator"] }),
    ];
    expect(new Set([shown, ...changed]).size).toBe(5);
  });

  test("has its ending recorded and announced: approved, rejected, expired or superseded", async () => {
    atFixedTime();
    const at = await newApplication();
    const [a, b, c] = [await newDevice(), await newDevice(), await newDevice()];
    const approved = await request(at, a);
    await decide(at, approved.id, "approve");
    const rejected = await request(at, b);
    await decide(at, rejected.id, "reject");
    const superseded = await request(at, c);
    const expired = await request(at, c, { scopes: ["operator.write"] });
    pass(300_000);
    await runSweep();
    await runSweep();
    for (const [status, { id }] of Object.entries({ approved, rejected, superseded, expired })) {
      expect(await findRequest(at, id, status)).toMatchObject({ status });
    }
    expect((await deviceEvents(at)).filter((type) => !type.endsWith("requested"))).toEqual([
      "device.pair.approved",
      "device.pair.expired",
      "device.pair.rejected",
      "device.pair.superseded",
    ]);
  });

  test("has its ending recorded and announced also when a retry finds it before the sweep", async () => {
    atFixedTime();
    const at = await newApplication();
    const device = await newDevice();
    const old = await request(at, device);
    pass(300_000);
    const next = await request(at, device);
    expect(next.id).not.toBe(old.id);
    const events = ["device.pair.expired", "device.pair.requested", "device.pair.requested"];
    expect(await deviceEvents(at)).toEqual(events);
    await runSweep();
    expect(await deviceEvents(at)).toEqual(events);
  });

  test("changes nothing when a decision comes while it is not pending, and says which ending it has", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const approved = await request(at, device);
    await decide(at, approved.id, "approve");
    const rejected = await request(at, await newDevice());
    await decide(at, rejected.id, "reject");
    for (const [id, code] of [
      [approved.id, "request-approved"],
      [rejected.id, "request-rejected"],
    ] as const) {
      for (const verb of ["approve", "reject"] as const) {
        const answer = await decide(at, id, verb);
        expect([answer.status, answer.body.code]).toEqual([409, code]);
      }
    }
    const unknown = await decide(at, "pr-unknown", "approve");
    expect([unknown.status, unknown.body.code]).toEqual([404, "request-not-found"]);
    expect((await findRequest(at, rejected.id)).status).toBe("rejected");
    expect(await deviceEvents(at)).toHaveLength(4);
  });

  test("is refused at 5 pending ones of one address and application, and none that is pending is removed", async () => {
    const [at, other] = [await newApplication(), await newApplication()];
    const ip = newAddress();
    const devices = await Promise.all(Array.from({ length: 6 }, newDevice));
    const first = [];
    for (const device of devices.slice(0, 5)) first.push(await request(at, device, { ip }));
    const sixth = devices[5];
    if (!sixth) throw new Error("six devices were made");
    const refused = await ask(at, sixth, { ip });
    expect([refused.status, refused.body.code]).toEqual([429, "too-many-requests-pending"]);
    expect(refused.headers.get("Retry-After")).toBe("60");
    for (const { id } of first) expect((await findRequest(at, id)).status).toBe("pending");
    // Another application, another address, and a device that has a request already are not
    // limited.
    expect((await ask(other, sixth, { ip })).status).toBe(202);
    expect((await ask(at, sixth, { ip: newAddress() })).status).toBe(202);
    const [known] = devices;
    if (!known) throw new Error("six devices were made");
    expect((await ask(at, known, { ip, scopes: ["operator.admin"] })).status).toBe(202);
  });

  test("has IsRepair when its device is already paired, and asks for more or asks again after a revocation", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const fresh = await request(at, device);
    expect((await findRequest(at, fresh.id)).is_repair).toBe(false);
    await decide(at, fresh.id, "approve");
    const wider = await request(at, device, { scopes: ["operator.admin"] });
    expect((await findRequest(at, wider.id)).is_repair).toBe(true);
    await decide(at, wider.id, "reject");

    const path = `${at.path}/devices/${device.id}`;
    await call("POST", `${path}/tokens:revoke`, { key: at.key, body: { role: "operator" } });
    const again = await request(at, device);
    expect((await findRequest(at, again.id)).is_repair).toBe(true);
    await call("DELETE", path, { key: at.key });
    const removed = await request(at, device, { scopes: ["operator.write"] });
    expect((await findRequest(at, removed.id)).is_repair).toBe(false);
  });

  test("has Silent when nobody is to be notified, which is never a reason to approve it", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const asked = await request(at, device, { silent: true });
    expect(await findRequest(at, asked.id)).toMatchObject({ silent: true, status: "pending" });
    expect(await deviceEvents(at)).toEqual([]);
    await decide(at, asked.id, "approve");
    expect(await deviceEvents(at)).toEqual(["device.pair.approved"]);
  });

  test("is approved only by an operator or a setup code", async () => {
    const at = await newApplication();
    const paired = await newDevice();
    await pair(at, paired, { scopes: ["operator.read"] });
    const asks = [
      await ask(at, await newDevice(), { silent: true, scopes: [] }),
      await ask(at, paired, { silent: true, scopes: ["operator.write"] }),
      await ask(at, paired, { role: "node", scopes: [] }),
    ];
    for (const { status, body } of asks) {
      expect(status).toBe(202);
      expect(body.device_token).toBeUndefined();
    }
    const token = `drbd_${"A".repeat(43)}`;
    expect((await verify(at, token)).code).toBe("not-found");
  });

  test("has the device's platform and family signed: a change of either on a paired device is a new request", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device, { platform: "linux", family: "server" });
    expect((await ask(at, device, { platform: "Linux ", family: "SERVER" })).status).toBe(200);
    expect((await ask(at, device, { platform: "darwin", family: "server" })).status).toBe(202);
    expect((await ask(at, device, { platform: "linux", family: "phone" })).status).toBe(202);
  });
});
