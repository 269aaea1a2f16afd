/**
 * A revocation or removal whose notice did not reach a session: the consumer of its event closes
 * the device's sockets later, and leaves those that the device opened after a new approval.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { closeSocketsForEvent } from "../../src/devices/close-sockets";
import { SessionClient } from "../../src/session/session-client";
import { call } from "../support/client";
import { connect, newRelayOf, newSession } from "../support/device-sockets";
import {
  ask,
  decide,
  domainDeps,
  findDeviceEvent,
  newApplication,
  newDevice,
  pair,
  request,
  type TestApplication,
  type TestDevice,
} from "../support/devices";
import { connect as connectUser } from "../support/socket";

afterEach(() => {
  vi.restoreAllMocks();
});

const post = (at: TestApplication, { id }: TestDevice, end: string, token = at.key) =>
  call("POST", `${at.path}/devices/${id}/tokens:${end}`, {
    headers: { Authorization: `Bearer ${token}` },
    body: { role: "operator" },
  });

/**
 * Makes the first notice that a device has changed fail; the function that it returns says whether
 * one failed.
 */
function missFirstCut(session: string): () => boolean {
  const { closeDeviceSockets } = SessionClient.prototype;
  let missed = false;
  vi.spyOn(SessionClient.prototype, "closeDeviceSockets").mockImplementation(function (
    this: SessionClient,
    id,
    cut,
  ) {
    if (id !== session || missed) return closeDeviceSockets.call(this, id, cut);
    missed = true;
    return Promise.reject(new Error("not reached"));
  });
  return () => missed;
}

const ends: Record<string, (at: TestApplication, device: TestDevice) => Promise<unknown>> = {
  "a removal": (at, { id }) => call("DELETE", `${at.path}/devices/${id}`, { key: at.key }),
  "a revocation": (at, device) => post(at, device, "revoke"),
  "an operator's rotation": (at, device) => post(at, device, "rotate"),
  "an approval with fewer scopes": async (at, device) => {
    const asked = await request(at, device, { role: "node", roles: ["operator"], scopes: [] });
    return decide(at, asked.id, "approve");
  },
  "an approval without its role": async (at, device) => {
    const asked = await request(at, device, { role: "node", roles: ["operator"], scopes: [] });
    return decide(at, asked.id, "approve", { roles: ["node"] });
  },
  "an approval with fewer scopes by a setup code": async (at, device) => {
    const body = { role: "operator", scopes: ["operator.talk"], ttl_seconds: 60 };
    const made = await call("POST", `${at.path}/setup-codes`, { key: at.key, body });
    const { setup_code: setupCode } = made.body;
    return ask(at, device, { setupCode, scopes: ["operator.talk"] });
  },
};

describe.each(Object.entries(ends))("the websockets of a device, after %s,", (_, end) => {
  test("are closed at once", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const socket = await connect(await newSession(at, [null, device.id]), "client", token);
    await end(at, device);
    expect((await socket.closed).code).toBe(4403);
  });

  test("are closed by the outbox of the event where they could not be closed at once", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const relay = await newRelayOf(at, [null, device.id, device.id]);
    const sockets = [await connect(relay.id, "client", token), await connectUser(relay, 2)];
    const missed = missFirstCut(relay.id);
    await end(at, device);
    expect(missed()).toBe(true);
    for (const socket of sockets) expect((await socket.closed).code).toBe(4403);
  });
});

describe("the outbox, when a device's event is recorded,", () => {
  test("closes no websocket that the device opened after a new approval", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    const relay = await newRelayOf(at, [null, device.id, device.id]);
    await post(at, device, "revoke");
    const revoked = await findDeviceEvent(at, "device.token.revoked");
    const { token } = await pair(at, device);
    const sockets = [await connect(relay.id, "client", token), await connectUser(relay, 2)];
    const { db, sessions } = domainDeps();
    await closeSocketsForEvent(db, sessions, revoked);
    for (const socket of sockets) await socket.settle();
    expect(sockets.map(({ open }) => open)).toEqual([true, true]);
    await post(at, device, "revoke");
    for (const socket of sockets) expect((await socket.closed).code).toBe(4403);
  });

  test("closes nothing when the device rotated its own token", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const socket = await connect(await newSession(at, [null, device.id]), "client", token);
    expect((await post(at, device, "rotate", token)).status).toBe(200);
    const { db, sessions } = domainDeps();
    await closeSocketsForEvent(db, sessions, await findDeviceEvent(at, "device.token.rotated"));
    await socket.settle();
    expect(socket.open).toBe(true);
  });
});
