/**
 * With the subprotocol `drawbridge.v1` no credential stands in a URL, either link lets in both sides, and a
 * refusal is a websocket that is closed at once with a code and a reason.
 */
import { exports } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { UnavailableError } from "../../src/platform/unavailable";
import { SessionClient } from "../../src/session/session-client";
import { ORIGIN } from "../support/client";
import { stopClock } from "../support/clock";
import { whileD1Refuses } from "../support/d1-refuses";
import { newRelayOf } from "../support/device-sockets";
import { newApplication, newDevice, pair } from "../support/devices";
import { newConnectedRelay } from "../support/permissions";
import { anyAddress } from "../support/sessions";
import {
  connect,
  endRelay,
  fromClient,
  newRelay,
  type Relay,
  readUser,
  refusedWith,
  revokeUser,
  tryConnect,
  upgrade,
  v1,
  withId,
} from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const offering = (credential: string) => ({ protocols: `drawbridge.v1, ${credential}` });

/** A relay session whose user 1 has a device, and the token of that device. */
async function newRelayWithDevice(): Promise<{ relay: Relay; token: string }> {
  const [at, device] = await Promise.all([newApplication(), newDevice()]);
  const { token } = await pair(at, device);
  return { relay: await newRelayOf(at, [null, device.id]), token };
}

describe("a websocket with the subprotocol", () => {
  test("is let in by the tokens beside it, and frames pass", async () => {
    const relay = await newRelay(2);
    const host = await connect(relay, 0, v1(relay, 0));
    const client = await connect(relay, 1, v1(relay, 1));
    client.send(...fromClient(1));
    expect(await host.frame()).toEqual(withId(1, 1));
    host.send(...withId(1, 2));
    expect(await client.frame()).toEqual(fromClient(2));
  });

  test("is let in by the tokens in the query too", async () => {
    const relay = await newRelay(1);
    await connect(relay, 0, { protocols: "drawbridge.v1" });
  });

  test.each(["server", "client"])(
    "is let in on the link %s, whichever side its user is on, and told which that is",
    async (side) => {
      const relay = await newRelay(2);
      const host = await connect(relay, 0, { ...v1(relay, 0), side });
      const client = await connect(relay, 1, { ...v1(relay, 1), side });
      expect(host.controls[0]).toEqual({ type: "ready", connection_id: 0, role: "host" });
      expect(client.controls[0]).toEqual({ type: "ready", connection_id: 1, role: "client" });
      client.send(...fromClient(1));
      expect(await host.frame()).toEqual(withId(1, 1));
    },
  );

  test.each([
    ["first", (credential: string) => `drawbridge.v1, ${credential}`],
    ["last", (credential: string) => `${credential},drawbridge.v1`],
    ["among others", (credential: string) => `chat.v7, ${credential}, other, drawbridge.v1`],
  ])("is answered with its name and nothing else, offered %s", async (_, toProtocols) => {
    const relay = await newRelay(2);
    const tokens = `tokens.${relay.sessionToken}.${relay.userTokens[1]}`;
    const answer = await upgrade(relay, 1, { query: "", protocols: toProtocols(tokens) });
    answer.webSocket?.accept();
    answer.webSocket?.close(1000);
    expect(answer.status).toBe(101);
    expect(answer.headers.get("Sec-WebSocket-Protocol")).toBe("drawbridge.v1");
    expect(JSON.stringify([...answer.headers])).not.toContain(String(relay.userTokens[1]));
  });

  test("is let in by a device token", async () => {
    const { relay, token } = await newRelayWithDevice();
    const client = await connect(relay, 1, { query: "", ...offering(`device.${token}`) });
    expect(client.controls[0]).toMatchObject({ connection_id: 1, role: "client" });
  });

  test("leaves no credential in the log", async () => {
    const { relay, token } = await newRelayWithDevice();
    const lines: unknown[] = [];
    vi.spyOn(console, "log").mockImplementation((...args) => void lines.push(args));
    await connect(relay, 0, v1(relay, 0));
    await connect(relay, 1, { query: "", ...offering(`device.${token}`) });
    await refusedWith(relay, 0, offering("tokens.7654321.1234567"));
    const log = JSON.stringify(lines);
    expect(log).toContain("/v1/relays/sessions/{id}/server");
    const secrets = [relay.sessionToken, ...relay.userTokens, token, "7654321", "1234567"];
    for (const secret of secrets) expect(log).not.toContain(String(secret));
  });
});

describe("without the subprotocol", () => {
  test("a credential among the subprotocols lets nobody in, and is not sent back", async () => {
    const relay = await newRelay(1);
    const tokens = `tokens.${relay.sessionToken}.${relay.userTokens[0]}`;
    expect((await tryConnect(relay, 0, { query: "", protocols: tokens })).status).toBe(403);
    const answer = await upgrade(relay, 0, { protocols: `${tokens}, chat.v7` });
    answer.webSocket?.accept();
    answer.webSocket?.close(1000);
    expect(answer.headers.get("Sec-WebSocket-Protocol")).toBe("chat.v7");
  });
});

describe("a websocket that is refused with the subprotocol", () => {
  test.each<[string, (relay: Relay) => string]>([
    ["a wrong user token", ({ sessionToken }) => `tokens.${sessionToken}.1`],
    ["a wrong session token", ({ userTokens }) => `tokens.1.${userTokens[0]}`],
    ["one token", ({ sessionToken }) => `tokens.${sessionToken}`],
    ["three tokens", ({ sessionToken, userTokens: [user] }) => `tokens.${sessionToken}.${user}.1`],
    ["empty tokens", () => "tokens.."],
    ["tokens in hexadecimal", () => "tokens.0x1.0x2"],
    ["what is no token of a device", () => "device.none"],
    ["an unknown token of a device", () => `device.drbd_${"a".repeat(43)}`],
    ["nothing", () => "chat.v7"],
  ])("for %s is closed with 4401, and the answer names the subprotocol", async (_, credential) => {
    const relay = await newRelay(1);
    const way = { query: "", ...offering(credential(relay)) };
    const answer = await upgrade(relay, 0, way);
    expect(answer.status).toBe(101);
    expect([...answer.headers].filter(([name]) => name.startsWith("sec-"))).toEqual([
      ["sec-websocket-protocol", "drawbridge.v1"],
    ]);
    answer.webSocket?.accept();
    expect(await refusedWith(relay, 0, way)).toEqual({
      code: 4401,
      reason: "session_token or user_token is wrong or revoked.",
    });
    expect(await readUser(relay, 0)).toMatchObject({ connected: false });
  });

  test("because its user was revoked is closed with 4401", async () => {
    const relay = await newRelay(2);
    await revokeUser(relay, 1);
    expect((await refusedWith(relay, 1)).code).toBe(4401);
  });

  test.each(["0123456789ab-S", "nonsense", "0123456789ab-s"])(
    "because there is no session %s is closed with 4404",
    async (id) => {
      const relay = await newRelay(1);
      expect(await refusedWith({ ...relay, id }, 0)).toEqual({
        code: 4404,
        reason: "There is no such session, or it has ended.",
      });
    },
  );

  test("because the session has ended is closed with 4410", async () => {
    const relay = await newRelay(2);
    await endRelay(relay);
    expect(await refusedWith(relay, 1)).toEqual({
      code: 4410,
      reason: "The session has ended (organisation).",
    });
  });

  test("because its address is locked is closed with 4429, and told when to come back", async () => {
    stopClock();
    const relay = await newRelay(2);
    const ip = anyAddress();
    for (let i = 1; i <= 10; i++) {
      const way = { ip, ...offering(`tokens.${relay.sessionToken}.${i}`) };
      expect((await refusedWith(relay, 1, way)).code).toBe(4401);
    }
    expect(await refusedWith(relay, 1, { ip })).toEqual({
      code: 4429,
      reason: "Too many wrong tokens from your address. Try again in 60 s.",
    });
    expect((await tryConnect(relay, 1, { ip })).status).toBe(429);
    expect((await tryConnect(relay, 1, { ip: anyAddress() })).status).toBe(101);
  });

  test("because ten malformed credentials came is not locked out: they count as one", async () => {
    const relay = await newRelay(1);
    const ip = anyAddress();
    for (let i = 0; i < 12; i++) await refusedWith(relay, 0, { ip, ...offering(`tokens.${i}x.1`) });
    expect((await tryConnect(relay, 0, { ip })).status).toBe(101);
  });

  test("because its user has connected too often is closed with 4429: a connection costs fifty messages", async () => {
    stopClock();
    const relay = await newRelay(2);
    for (let i = 0; i < 20; i++) {
      const answer = await upgrade(relay, 1, v1(relay, 1));
      answer.webSocket?.accept();
      expect(answer.headers.get("Sec-WebSocket-Protocol")).toBe("drawbridge.v1");
    }
    const { code, reason } = await refusedWith(relay, 1);
    expect([code, reason]).toEqual([4429, expect.stringMatching(/Try again in 1 s\.$/)]);
    expect(await readUser(relay, 1)).toMatchObject({ connected: true });
  });

  test("because its permissions cannot be read is closed with 4503", async () => {
    const relay = await newConnectedRelay("host", "client");
    await whileD1Refuses(/./, async () => {
      const { code, reason } = await refusedWith(relay, 1);
      expect([code, reason]).toEqual([4503, expect.stringMatching(/Try again in 2 s\.$/)]);
    });
  });

  test("because the session's object does not answer is closed with 4503", async () => {
    const relay = await newRelay(1);
    vi.spyOn(SessionClient.prototype, "connect").mockRejectedValue(new UnavailableError("lost"));
    expect((await refusedWith(relay, 0)).code).toBe(4503);
  });

  test("is refused with a slash at the end of its path too", async () => {
    const relay = await newRelay(2);
    expect((await refusedWith(relay, 1, { side: "client/", ...offering("tokens.1.2") })).code).toBe(
      4401,
    );
    const client = await connect(relay, 1, { ...v1(relay, 1), side: "client/" });
    expect(client.controls[0]).toMatchObject({ role: "client" });
    const host = await connect(relay, 0, { side: "server/" });
    expect(host.controls[0]).toMatchObject({ role: "host" });
  });

  test("is answered with 426 if it is no websocket: there is nothing to close", async () => {
    const relay = await newRelay(1);
    const answer = await exports.default.fetch(
      new Request(`${ORIGIN}/v1/relays/sessions/${relay.id}/server`, {
        headers: { "Sec-WebSocket-Protocol": "drawbridge.v1" },
      }),
    );
    expect(answer.status).toBe(426);
    await answer.body?.cancel();
  });
});
