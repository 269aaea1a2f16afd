/**
 * Device tokens on the relay's websockets: which devices are let in, and that the sockets of a
 * revoked or removed device are closed in every session.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { withD1 } from "../support/d1";
import { connect, newSession, upgrade } from "../support/device-sockets";
import {
  decide,
  newAddress,
  newApplication,
  newDevice,
  pair,
  poll,
  request,
  type TestApplication,
} from "../support/devices";
import { rowsOf, settled } from "../support/rows";

async function heldDevices(at: TestApplication): Promise<unknown[]> {
  const { results } = await env.DB.prepare(
    "select session_id, device_id from session_devices where organisation_id = ?",
  )
    .bind(at.id)
    .all();
  return results;
}

describe("a device token on a websocket", () => {
  test("lets in the user with this device, on their own link, and nobody else", async () => {
    const at = await newApplication();
    const [host, guest, stranger] = [await newDevice(), await newDevice(), await newDevice()];
    const hostToken = (await pair(at, host)).token;
    const guestToken = (await pair(at, guest)).token;
    const strangerToken = (await pair(at, stranger)).token;
    const session = await newSession(at, [host.id, guest.id]);
    const hostSocket = await connect(session, "server", hostToken);
    await connect(session, "client", guestToken);
    expect(await hostSocket.control("peer_joined")).toMatchObject({ connection_id: 1 });

    for (const [side, token] of [
      ["client", hostToken],
      ["server", guestToken],
      ["client", strangerToken],
      ["client", `drbd_${"A".repeat(43)}`],
      ["client", "drbd_"],
      ["client", at.key],
      ["client", ""],
    ] as const) {
      expect((await upgrade(session, side, token)).status).toBe(403);
    }
  });

  test.each(["token", "Token", "Bearer", "bearer"])(
    "is taken with the scheme %s, as every credential is",
    async (scheme) => {
      const at = await newApplication();
      const device = await newDevice();
      const { token } = await pair(at, device);
      const session = await newSession(at, [device.id]);
      const answer = await upgrade(session, "server", "", { Authorization: `${scheme} ${token}` });
      expect(answer.status).toBe(101);
      answer.webSocket?.accept();
      answer.webSocket?.close();
    },
  );

  test("opens no session of another organisation, though the device is the same", async () => {
    const [at, other] = [await newApplication(), await newApplication()];
    const device = await newDevice();
    await pair(at, device);
    const { token } = await pair(other, device);
    const session = await newSession(at, [null, device.id]);
    expect((await upgrade(session, "client", token)).status).toBe(403);
  });

  test("locks the session for an address after ten different wrong ones from it", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const session = await newSession(at, [null, device.id]);
    const from = { "CF-Connecting-IP": newAddress() };
    for (let i = 0; i < 10; i++) {
      const wrong = await upgrade(session, "client", `drbd_${String(i).repeat(43)}`, from);
      expect(wrong.status).toBe(403);
    }
    expect((await upgrade(session, "client", token, from)).status).toBe(429);
  });

  test("opens a session that is closed to new addresses after too many wrong user tokens", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const session = await newSession(at, [null, device.id, null]);
    const { body } = await call("GET", `/v1/relays/sessions/${session}`, { key: at.key });
    const withToken = (userToken: number) => {
      const query = `?session_token=${body.authorization_token}&user_token=${userToken}`;
      const headers = { Upgrade: "websocket", "CF-Connecting-IP": newAddress() };
      return call("GET", `/v1/relays/sessions/${session}/client${query}`, { headers });
    };
    for (let i = 1; i <= 60; i++) expect((await withToken(i)).status).toBe(403);
    expect((await withToken(body.session_users[2].authorization_token)).status).toBe(429);
    const socket = await connect(session, "client", token);
    socket.close(1000);
  });

  test("locks nobody out when one wrong token is repeated", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const session = await newSession(at, [null, device.id]);
    const from = { "CF-Connecting-IP": newAddress() };
    for (let i = 0; i < 12; i++) {
      const wrong = await upgrade(session, "client", `drbd_${"A".repeat(43)}`, from);
      expect(wrong.status).toBe(403);
    }
    const right = await upgrade(session, "client", token, from);
    expect(right.status).toBe(101);
    right.webSocket?.accept();
    right.webSocket?.close(1000);
  });
});

describe("a device token that is shown again and again", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each(["working", "wrong", "revoked"])(
    "is looked up twenty times and then ten times a second, from whatever address: a %s token",
    async (kind) => {
      // The clock stands still, so that nothing is filled again meanwhile.
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
      const at = await newApplication();
      const device = await newDevice();
      const { token: own } = await pair(at, device);
      const token = kind === "wrong" ? `drbd_${"A".repeat(43)}` : own;
      const session = await newSession(at, [null, device.id, null]);
      if (kind === "revoked") {
        const body = { role: "operator" };
        await call("POST", `${at.path}/devices/${device.id}/tokens:revoke`, { key: at.key, body });
      }
      const answered = kind === "working" ? 101 : 403;
      let reads = 0;
      const countReads = (sql: string) => {
        if (/select[\s\S]*device_tokens/.test(sql)) reads += 1;
      };
      const knockTimes = async (times: number) => {
        const statuses: number[] = [];
        await withD1(countReads, async () => {
          for (let i = 0; i < times; i++) {
            const { status, webSocket, headers } = await upgrade(session, "client", token);
            webSocket?.accept();
            if (status === 429) expect(headers.get("Retry-After")).toBe("1");
            statuses.push(status);
          }
        });
        return statuses;
      };
      expect(await knockTimes(30)).toEqual([...Array(20).fill(answered), ...Array(10).fill(429)]);
      expect(reads).toBe(20);
      vi.setSystemTime(Date.now() + 1_000);
      expect(await knockTimes(11)).toEqual([...Array(10).fill(answered), 429]);
      expect(reads).toBe(30);
    },
  );
});

describe("revoking or removing a device", () => {
  const ends = {
    revoked: (at: TestApplication, id: string) =>
      call("POST", `${at.path}/devices/${id}/tokens:revoke`, {
        key: at.key,
        body: { role: "operator" },
      }),
    removed: (at: TestApplication, id: string) =>
      call("DELETE", `${at.path}/devices/${id}`, { key: at.key }),
    "removed over RPC": (at: TestApplication, id: string) => {
      const query = new URLSearchParams({
        Action: "RemovePolarClawDevicePair",
        Version: "2017-08-01",
        ApplicationId: at.application,
        DeviceId: id,
      });
      return call("POST", `/?${query}`, { key: at.key });
    },
    "rotated by an operator": (at: TestApplication, id: string) =>
      call("POST", `${at.path}/devices/${id}/tokens:rotate`, {
        key: at.key,
        body: { role: "operator" },
      }),
  };

  test.each(Object.entries(ends))(
    "closes its relay websockets in every session before it answers: %s",
    async (_, end) => {
      const at = await newApplication();
      const [device, other] = [await newDevice(), await newDevice()];
      const { token } = await pair(at, device);
      const { token: others } = await pair(at, other);
      const sessions = [
        await newSession(at, [device.id, other.id]),
        await newSession(at, [other.id, device.id]),
      ];
      const [first = "", second = ""] = sessions;
      const mine = [await connect(first, "server", token), await connect(second, "client", token)];
      const theirs = await connect(first, "client", others);
      expect((await end(at, device.id)).status).toBeLessThan(300);
      for (const socket of mine) expect((await socket.closed).code).toBe(4403);
      expect(theirs.open).toBe(true);
      expect((await upgrade(first, "server", token)).status).toBe(403);
    },
  );

  test("closes its relay websockets also when the session's object was evicted", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const session = await newSession(at, [null, device.id]);
    const socket = await connect(session, "client", token);
    await evictDurableObject(env.SESSIONS.getByName(session));
    await ends.removed(at, device.id);
    expect((await socket.closed).code).toBe(4403);
  });

  test("closes what a token opened when an approval takes its role away", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const session = await newSession(at, [null, device.id]);
    const socket = await connect(session, "client", token);
    const asked = await request(at, device, { role: "node", roles: ["operator"], scopes: [] });
    await decide(at, asked.id, "approve", { roles: ["node"] });
    expect((await socket.closed).code).toBe(4403);
  });

  test("keeps the device out until it is approved again", async () => {
    const at = await newApplication();
    const device = await newDevice();
    const { token } = await pair(at, device);
    const session = await newSession(at, [null, device.id]);
    await connect(session, "client", token);
    await ends.revoked(at, device.id);
    const asked = await request(at, device);
    await decide(at, asked.id, "approve");
    const { body } = await poll(at, asked);
    const socket = await connect(session, "client", body.device_token);
    expect(socket.open).toBe(true);
  });
});

describe("the table of which sessions have which devices", () => {
  test("holds a user's device while the session lives, and loses it with the user and with the session", async () => {
    const at = await newApplication();
    const [a, b] = ["device-a", "device-b"];
    const session = await newSession(at, [a, b]);
    const row = (device_id: string) => ({ session_id: session, device_id });
    expect(await heldDevices(at)).toEqual([row(a), row(b)]);
    const { body } = await call("GET", `/v1/relays/sessions/${session}`, { key: at.key });
    await call("POST", "/v1/relays/sessions:revoke-user", {
      key: at.key,
      body: {
        session_id: session,
        authorization_token: body.session_users[1].authorization_token,
      },
    });
    expect(await heldDevices(at)).toEqual([row(a)]);
    await call("POST", "/v1/relays/sessions:authorize-user", {
      key: at.key,
      body: { session_id: session, user_ip: "192.0.2.7", device_id: "device-c" },
    });
    expect(await heldDevices(at)).toEqual([row(a), row("device-c")]);
    await call("DELETE", `/v1/relays/sessions/${session}`, { key: at.key });
    expect(await heldDevices(at)).toEqual([]);
  });

  test("costs no row for a session without devices", async () => {
    const at = await newApplication();
    const cost = (ids: (string | null)[]) =>
      rowsOf(async () => {
        await newSession(at, ids);
        await settled();
      });
    await cost([null, null]);
    const [without, withOne] = [await cost([null, null]), await cost([null, "device-x"])];
    // A row and its index entry, for the one device.
    expect(withOne.d1Written - without.d1Written).toBe(2);
    expect(without.d1Written).toBeLessThanOrEqual(4);
    expect(await heldDevices(at)).toHaveLength(1);
  });
});
