/**
 * A user of a relay session who has a device. The session and user tokens let that user in only
 * while the device is paired and not revoked, as its device token does.
 */
import { describe, expect, test } from "vitest";
import { call } from "../support/client";
import { whileD1Refuses } from "../support/d1-refuses";
import { connect as connectDevice, newRelayOf, upgrade } from "../support/device-sockets";
import {
  decide,
  newApplication,
  newDevice,
  pair,
  poll,
  request,
  type TestApplication,
  type TestDevice,
} from "../support/devices";
import { PROJECTION } from "../support/faults";
import { rowsOf } from "../support/rows";
import { connect, newRelay, type Relay, tryConnect } from "../support/socket";

const revoke = (at: TestApplication, { id }: TestDevice, role = "operator") =>
  call("POST", `${at.path}/devices/${id}/tokens:revoke`, { key: at.key, body: { role } });
const remove = (at: TestApplication, { id }: TestDevice) =>
  call("DELETE", `${at.path}/devices/${id}`, { key: at.key });

/**
 * How the user with the device is answered when it connects: the status, and in a refusal the
 * message.
 */
async function knockOf(relay: Relay): Promise<[number, string]> {
  const { status, body } = await tryConnect(relay, 1);
  return [status, body?.message ?? ""];
}

const notPaired = [403, expect.stringContaining("is not of a device that is paired")];
const revoked = [403, expect.stringContaining("was revoked")];
const removed = [403, expect.stringContaining("was removed")];
const letIn = [101, ""];

describe("the tokens of a relay session's user with a device", () => {
  test("let nobody in for a device_id that was never paired, or that only asked to be", async () => {
    const at = await newApplication();
    const device = await newDevice();
    expect(await knockOf(await newRelayOf(at, [null, "phone"]))).toEqual(notPaired);
    const relay = await newRelayOf(at, [null, device.id]);
    expect(await knockOf(relay)).toEqual(notPaired);
    const asked = await request(at, device);
    expect(await knockOf(relay)).toEqual(notPaired);
    await decide(at, asked.id, "reject");
    expect(await knockOf(relay)).toEqual(notPaired);
  });

  test("let nobody in as the host either, without a paired device", async () => {
    const at = await newApplication();
    const relay = await newRelayOf(at, ["phone", null]);
    expect((await tryConnect(relay, 0)).status).toBe(403);
    expect((await tryConnect(relay, 1)).status).toBe(101);
  });

  test("let a paired device in, also before it has collected its token", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const relay = await newRelayOf(at, [null, device.id]);
    const asked = await request(at, device);
    await decide(at, asked.id, "approve");
    expect(await knockOf(relay)).toEqual(letIn);
    await poll(at, asked);
    expect(await knockOf(relay)).toEqual(letIn);
  });

  test.each([
    ["revoked", revoke, revoked],
    ["removed", remove, removed],
  ])("stop when the device is %s, and work again after a new approval", async (_, end, refusal) => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    const relay = await newRelayOf(at, [null, device.id]);
    const socket = await connect(relay, 1);
    await end(at, device);
    expect((await socket.closed).code).toBe(4403);
    expect(await knockOf(relay)).toEqual(refusal);
    const asked = await request(at, device);
    expect(await knockOf(relay)).toEqual(refusal);
    await decide(at, asked.id, "approve");
    expect(await knockOf(relay)).toEqual(letIn);
  });

  test("stop for a device with several roles once all of them are revoked", async () => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device, { roles: ["node"], scopes: [] });
    const relay = await newRelayOf(at, [null, device.id]);
    await revoke(at, device, "node");
    expect(await knockOf(relay)).toEqual(letIn);
    await revoke(at, device, "operator");
    expect(await knockOf(relay)).toEqual(revoked);
  });

  test("need a pairing with one application of the session's own organisation", async () => {
    const [at, stranger] = [await newApplication(), await newApplication()];
    const other = await newApplication(at);
    const device = await newDevice();
    const relay = await newRelayOf(at, [null, device.id]);
    await pair(stranger, device);
    expect(await knockOf(relay)).toEqual(notPaired);
    await pair(at, device);
    await pair(other, device);
    await remove(at, device);
    expect(await knockOf(relay)).toEqual(letIn);
    await revoke(other, device);
    expect(await knockOf(relay)).toEqual(revoked);
  });

  test("are not counted as guesses: a revoked device that keeps trying does not lock out its neighbours", async () => {
    const at = await newApplication();
    const relay = await newRelayOf(at, [null, "phone", null]);
    const ip = "198.51.100.9";
    for (let i = 0; i < 12; i++) expect((await tryConnect(relay, 1, { ip })).status).toBe(403);
    expect((await tryConnect(relay, 2, { ip })).status).toBe(101);
  });

  test("read nothing from D1 for a user without a device", async () => {
    const relay = await newRelay(3);
    await connect(relay, 0);
    const rows = await rowsOf(async () => {
      await connect(relay, 1);
      await connect(relay, 2);
    });
    expect(rows).toEqual({ d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 });
  });
});

describe("a refused websocket of a device", () => {
  test("says that the token was revoked, that the device was removed, or that the token is unknown", async () => {
    const at = await newApplication();
    const [bad, gone, stranger] = [await newDevice(), await newDevice(), await newDevice()];
    const tokens = [];
    for (const device of [bad, gone, stranger]) tokens.push((await pair(at, device)).token);
    const relay = await newRelayOf(at, [null, bad.id, gone.id]);
    await revoke(at, bad);
    await remove(at, gone);
    const said = [];
    for (const token of tokens) {
      const answer = await upgrade(relay.id, "client", token);
      said.push([answer.status, (await answer.json<{ message: string }>()).message]);
    }
    const wrong = [
      403,
      expect.stringContaining("is wrong or revoked. Or it is for the other link"),
    ];
    expect(said).toEqual([revoked, removed, wrong]);
  });

  test.each([
    ["the device cannot be read", /from "devices" where/, "device is still paired cannot be read"],
    ["the session is not shown in D1", PROJECTION, "session cannot be shown"],
    ["the permissions cannot be read", /from "relay_permissions"/, "relay permissions"],
  ])("says to come back when %s", async (_, statement, message) => {
    const at = await newApplication();
    const device = await newDevice();
    await pair(at, device);
    const users = [{}, { device_id: device.id, connection_id: "site" }];
    await whileD1Refuses(statement, async () => {
      const { body } = await call("POST", "/v1/relays/sessions", {
        key: at.key,
        body: { users: users.map((user) => ({ ip: "192.0.2.1", ...user })) },
      });
      const { session_id: id, authorization_token: session, session_users } = body;
      const answer = await call(
        "GET",
        `/v1/relays/sessions/${id}/client?session_token=${session}&user_token=${session_users[1].authorization_token}`,
        { headers: { Upgrade: "websocket" } },
      );
      expect([answer.status, answer.headers.get("Retry-After")]).toEqual([503, "2"]);
      expect(answer.body.message).toContain(message);
    });
  });
});

test("a device that connects for the first time is let in when that cannot be written", async () => {
  const at = await newApplication();
  const device = await newDevice();
  const { token } = await pair(at, device);
  const relay = await newRelayOf(at, [null, device.id]);
  await whileD1Refuses(/set "last_seen_at"/, async () => {
    expect((await connectDevice(relay.id, "client", token)).open).toBe(true);
  });
});
