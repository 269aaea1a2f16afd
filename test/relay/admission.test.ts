/** Only a user with both tokens of a live session gets a websocket, and only on their own link. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { stopClock } from "../support/clock";
import {
  connect,
  endRelay,
  newRelay,
  type Relay,
  readUser,
  revokeUser,
  tokensOf,
  tryConnect,
  upgrade,
} from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
});

const MINUTE_MS = 60_000;
const path = (relay: Relay) => `/v1/relays/sessions/${relay.id}`;

describe("a websocket of a user", () => {
  test("is let in with both right tokens, and the session shows the user as connected", async () => {
    const relay = await newRelay(2);
    await connect(relay, 1);
    expect(await readUser(relay, 1)).toMatchObject({ connected: true });
    expect(await readUser(relay, 0)).toMatchObject({ connected: false });
  });

  test.each<[string, (relay: Relay, other: Relay) => string]>([
    ["no tokens", () => ""],
    ["no user token", ({ sessionToken }) => `session_token=${sessionToken}`],
    ["no session token", ({ userTokens }) => `user_token=${userTokens[1]}`],
    ["an empty user token", ({ sessionToken }) => `session_token=${sessionToken}&user_token=`],
    [
      "a user token one too high",
      ({ sessionToken, userTokens }) =>
        `session_token=${sessionToken}&user_token=${(userTokens[1] ?? 0) + 1}`,
    ],
    [
      "a session token one too high",
      ({ sessionToken, userTokens }) =>
        `session_token=${sessionToken + 1}&user_token=${userTokens[1]}`,
    ],
    [
      "the two tokens swapped",
      ({ sessionToken, userTokens }) => `session_token=${userTokens[1]}&user_token=${sessionToken}`,
    ],
    [
      "a token plus 2³², which has the same 32 bits",
      ({ sessionToken, userTokens }) =>
        `session_token=${sessionToken}&user_token=${(userTokens[1] ?? 0) + 2 ** 32}`,
    ],
    [
      "a token that is no number",
      ({ sessionToken }) => `session_token=${sessionToken}&user_token=abc`,
    ],
    [
      "a user of another session",
      ({ sessionToken }, other) =>
        `session_token=${sessionToken}&user_token=${other.userTokens[1]}`,
    ],
    ["all tokens of another session", (_, other) => tokensOf(other, 1)],
  ])("is refused with %s, and nobody is shown as connected", async (_, query) => {
    const [relay, other] = await Promise.all([newRelay(2), newRelay(2)]);
    const answer = await tryConnect(relay, 1, { query: query(relay, other) });
    expect(answer.status).toBe(403);
    expect(answer.body).toEqual({ message: expect.stringContaining("token"), code: "wrong-token" });
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
  });

  test("is refused with the tokens of a user who was revoked", async () => {
    const relay = await newRelay(2);
    await revokeUser(relay, 1);
    expect((await tryConnect(relay, 1)).status).toBe(403);
    expect((await tryConnect(relay, 0)).status).toBe(101);
  });

  test("is let in for a user who was authorised after the create", async () => {
    const relay = await newRelay(1);
    const { body } = await call("POST", "/v1/relays/sessions:authorize-user", {
      key: relay.key,
      body: { session_id: relay.id, user_ip: "192.0.2.9" },
    });
    relay.userTokens.push(body.session_user.authorization_token);
    const client = await connect(relay, 1);
    expect(client.controls[0]).toEqual({ type: "ready", connection_id: 1, role: "client" });
  });
});

describe("the link of a websocket", () => {
  test("lets in only user 0 as the host", async () => {
    const relay = await newRelay(3);
    expect((await tryConnect(relay, 1, { side: "server" })).status).toBe(403);
    expect((await tryConnect(relay, 2, { side: "server" })).status).toBe(403);
    expect((await tryConnect(relay, 0, { side: "server" })).status).toBe(101);
  });

  test("lets in everyone but user 0 as a client", async () => {
    const relay = await newRelay(3);
    expect((await tryConnect(relay, 0, { side: "client" })).status).toBe(403);
    expect((await tryConnect(relay, 1, { side: "client" })).status).toBe(101);
    expect((await tryConnect(relay, 2, { side: "client" })).status).toBe(101);
  });

  test("tells a plain request to upgrade, also when its tokens are right", async () => {
    const relay = await newRelay(2);
    const answer = await call("GET", `${path(relay)}/client?${tokensOf(relay, 1)}`);
    expect(answer.status).toBe(426);
    expect(answer.headers.get("Upgrade")).toBe("websocket");
    expect(answer.body).toEqual({
      message: expect.stringContaining("websocket"),
      code: "upgrade-required",
    });
    expect(await readUser(relay, 1)).toMatchObject({ connected: false });
  });

  test("finds no session for an id that never existed or cannot exist", async () => {
    const relay = await newRelay(2);
    for (const id of ["0123456789ab-S", "nonsense", `${relay.id}x`]) {
      const answer = await tryConnect({ ...relay, id }, 1);
      expect(answer.status).toBe(404);
      expect(answer.body).toEqual({ message: expect.any(String), code: "session-not-found" });
    }
  });

  test("says that the session has ended when it was deleted", async () => {
    const relay = await newRelay(2);
    await endRelay(relay);
    const answer = await tryConnect(relay, 1);
    expect(answer.status).toBe(410);
    expect(answer.body).toEqual({
      message: expect.stringContaining("ended"),
      code: "session-ended",
    });
  });

  test("says that the session has ended when its life is over, also before its alarm has rung, and closes its websockets", async () => {
    stopClock();
    const relay = await newRelay(3, { ttl_seconds: 60 });
    const early = await connect(relay, 1);
    vi.setSystemTime(Date.now() + MINUTE_MS);
    expect((await tryConnect(relay, 2)).status).toBe(410);
    expect((await early.closed).code).toBe(4410);
  });
});

describe("a websocket subprotocol", () => {
  test.each([
    ["one that we do not know", "chat.v7", "chat.v7"],
    ["several", "first, second,third", "first"],
    ["one with every character that a name may have", "a!#$%&'*+-.^_`|~9", "a!#$%&'*+-.^_`|~9"],
    ["an empty one before another", " , second", "second"],
  ])("is answered with the first one that was offered: %s", async (_, protocols, first) => {
    const relay = await newRelay(2);
    const response = await upgrade(relay, 1, { protocols });
    response.webSocket?.accept();
    response.webSocket?.close(1000);
    expect(response.status).toBe(101);
    expect(response.headers.get("Sec-WebSocket-Protocol")).toBe(first);
  });

  test.each([
    ["no subprotocol", undefined],
    ["what is no name", "a b, (c)"],
  ])("is not answered to a client that offers %s", async (_, protocols) => {
    const relay = await newRelay(2);
    const response = await upgrade(relay, 1, protocols === undefined ? {} : { protocols });
    response.webSocket?.accept();
    response.webSocket?.close(1000);
    expect(response.status).toBe(101);
    expect(response.headers.get("Sec-WebSocket-Protocol")).toBeNull();
  });
});

describe("the place of a user", () => {
  test("is the one that Cloudflare saw once the user has connected, and is missing before that", async () => {
    const relay = await newRelay(2);
    expect(await readUser(relay, 1)).toMatchObject({ latitude: null, longitude: null });
    await connect(relay, 1, { cf: { latitude: "52.52", longitude: "13.405" } });
    expect(await readUser(relay, 1)).toMatchObject({ latitude: 52.52, longitude: 13.405 });
  });
});
