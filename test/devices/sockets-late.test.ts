/**
 * Devices connect while D1 does not show their session yet. A revocation finds a device's sessions
 * in D1, so the object lets a device in only when D1 shows the session.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { call } from "../support/client";
import { newGate, withD1, withD1Answers } from "../support/d1";
import { whileD1Refuses } from "../support/d1-refuses";
import { connect, newRelayOf, newSession, upgrade } from "../support/device-sockets";
import {
  newApplication,
  newDevice,
  pair,
  type TestApplication,
  type TestDevice,
} from "../support/devices";
import { isProjection, journalUnreachable, PROJECTION, withJournals } from "../support/faults";
import { rowsOf, settled } from "../support/rows";
import { connect as connectUser, tryConnect, upgrade as upgradeUser } from "../support/socket";

/** The read of the device that wants to connect, by its token or by its id. */
const READING = /from "device_tokens"|where \("devices"."id" = /;

function revoke(at: TestApplication, { id }: TestDevice) {
  return call("POST", `${at.path}/devices/${id}/tokens:revoke`, {
    key: at.key,
    body: { role: "operator" },
  });
}

async function pairedDevice() {
  const at = await newApplication();
  const device = await newDevice();
  const { token } = await pair(at, device);
  return { at, device, token };
}

test("two websockets of one device at the same time belong to its two users", async () => {
  const { at, device, token } = await pairedDevice();
  const session = await newSession(at, [null, device.id, device.id]);
  const sockets = await Promise.all([0, 1].map(() => connect(session, "client", token)));
  const users = sockets.map(({ controls }) => controls[0]?.connection_id).toSorted();
  expect(users).toEqual([1, 2]);
  expect(sockets.map(({ open }) => open)).toEqual([true, true]);
});

describe("a session that D1 does not show yet", () => {
  test("refuses a device, asks it to come back, and lets it in once D1 shows the session", async () => {
    const { at, device, token } = await pairedDevice();
    await whileD1Refuses(PROJECTION, async () => {
      const session = await newSession(at, [null, device.id]);
      const refused = await upgrade(session, "client", token);
      expect([refused.status, refused.headers.get("Retry-After")]).toEqual([503, "2"]);
      // An object that was evicted refuses too: its memory is not what counts, but what D1 shows.
      await evictDurableObject(env.SESSIONS.getByName(session));
      expect((await upgrade(session, "client", token)).status).toBe(503);
    });
    const session = await newSession(at, [null, device.id]);
    expect((await upgrade(session, "client", token)).status).toBe(101);
  });

  test("has a websocket closed by a revocation that follows the first successful write to D1", async () => {
    const { at, device, token } = await pairedDevice();
    const session = await whileD1Refuses(PROJECTION, () => newSession(at, [null, device.id]));
    const socket = await connect(session, "client", token);
    await revoke(at, device);
    expect((await socket.closed).code).toBe(4403);
  });

  test("refuses a device's user by their user token as well, and lets users without a device in", async () => {
    const at = await newApplication();
    const users = [{}, { device_id: "phone" }, {}].map((more) => ({ ip: "192.0.2.1", ...more }));
    await whileD1Refuses(PROJECTION, async () => {
      const { body } = await call("POST", "/v1/relays/sessions", { key: at.key, body: { users } });
      const relay = {
        id: body.session_id,
        key: at.key,
        sessionToken: body.authorization_token,
        userTokens: body.session_users.map(
          (user: { authorization_token: number }) => user.authorization_token,
        ),
        stub: env.SESSIONS.getByName(body.session_id),
      };
      expect((await tryConnect(relay, 1)).status).toBe(503);
      expect((await connectUser(relay, 2)).open).toBe(true);
    });
  });

  test("refuses a user who was just authorised until D1 shows that user", async () => {
    const { at, device, token } = await pairedDevice();
    const session = await newSession(at, [null]);
    const gate = newGate();
    const socket = await withD1(
      (sql) => (isProjection(sql) ? gate.wait() : undefined),
      async () => {
        const authorised = call("POST", "/v1/relays/sessions:authorize-user", {
          key: at.key,
          body: { session_id: session, user_ip: "192.0.2.7", device_id: device.id },
        });
        await gate.reached;
        const connecting = connect(session, "client", token);
        gate.open();
        await authorised;
        return connecting;
      },
    );
    await revoke(at, device);
    expect((await socket.closed).code).toBe(4403);
  });

  test("keeps a device out after a revocation that did not find the session", async () => {
    const { at, device, token } = await pairedDevice();
    const session = await whileD1Refuses(PROJECTION, async () => {
      const made = await newSession(at, [null, device.id]);
      await revoke(at, device);
      return made;
    });
    expect((await upgrade(session, "client", token)).status).toBe(403);
  });

  test("keeps a device out when it is revoked while it is being read, by a device token and by a user token", async () => {
    for (const credential of ["device", "user"]) {
      const { at, device, token } = await pairedDevice();
      const relay = await newRelayOf(at, [null, device.id]);
      let waiting = true;
      const late = await withD1Answers(
        async (sql) => {
          if (!waiting || !READING.test(sql)) return;
          waiting = false;
          await revoke(at, device);
        },
        async () =>
          credential === "device" ? upgrade(relay.id, "client", token) : upgradeUser(relay, 1),
      );
      expect(waiting).toBe(false);
      expect(late.status).toBe(403);
      expect((await late.json<{ message: string }>()).message).toContain("was revoked");
    }
  });
});

test("a device is let in while no journal can be reached, since D1 shows the session", async () => {
  const { at, device, token } = await pairedDevice();
  const socket = await withJournals(journalUnreachable, async () =>
    connect(await newSession(at, [null, device.id]), "client", token),
  );
  await revoke(at, device);
  expect((await socket.closed).code).toBe(4403);
});

test("an evicted object reads again that D1 shows the session, and lets its device in", async () => {
  const { at, device, token } = await pairedDevice();
  const session = await newSession(at, [null, device.id]);
  await evictDurableObject(env.SESSIONS.getByName(session));
  expect((await connect(session, "client", token)).open).toBe(true);
});

test("connecting a device costs two rows read, by its device token or by its user's token", async () => {
  const { at, device, token } = await pairedDevice();
  // Three users, so that no socket is replaced: a socket that closes may store its counters.
  const relay = await newRelayOf(at, [null, device.id, device.id, device.id]);
  await connect(relay.id, "client", token);
  await settled();
  const byDevice = await rowsOf(() => connect(relay.id, "client", token));
  const byUser = await rowsOf(() => connectUser(relay, 3));
  expect([byDevice.d1Read, byDevice.d1Written, byDevice.objectWritten]).toEqual([2, 0, 0]);
  expect(byUser.d1Read).toBeLessThanOrEqual(2);
  expect([byUser.d1Written, byUser.objectWritten]).toEqual([0, 0]);
});
