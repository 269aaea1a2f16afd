/**
 * Relay permissions decide over real websockets which user may send to which, also while they
 * change.
 */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { stopClockAhead } from "../support/clock";
import {
  allowBoth,
  at,
  bring,
  newConnectedRelay,
  passes,
  refusals,
  type State,
  set,
  until,
} from "../support/permissions";
import { connect, fromClient, newRelay, readUser, withId } from "../support/socket";

afterEach(() => {
  vi.useRealTimers();
});

const STATES: State[] = ["absent", "present", "enabled", "disabled"];
const sixteen = STATES.flatMap((send) => STATES.map((receive) => [send, receive] as const));

const toClient = withId(1, 7);
const toHost = fromClient(8);

test.each(sixteen)(
  "frames pass by the sender's row %s and the receiver's row %s, both ways",
  async (send, receive) => {
    const relay = await newConnectedRelay("host", "client");
    await bring(relay.key, at("host", "client", "send"), send);
    await bring(relay.key, at("client", "host", "receive"), receive);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    const both = send === "enabled" && receive === "enabled";
    expect(await passes(host, client, toClient)).toBe(both);
    expect(await passes(client, host, toHost)).toBe(false);

    const back = await newConnectedRelay("host", "client");
    await bring(back.key, at("client", "host", "send"), send);
    await bring(back.key, at("host", "client", "receive"), receive);
    const otherHost = await connect(back, 0);
    const otherClient = await connect(back, 1);
    expect(await passes(otherClient, otherHost, toHost)).toBe(both);
    expect(await passes(otherHost, otherClient, toClient)).toBe(false);
  },
);

test.each([
  [null, null],
  ["host", null],
  [null, "client"],
])("users with the connections %j and %j need no permission", async (a, b) => {
  const relay = await newConnectedRelay(a, b);
  const host = await connect(relay, 0);
  const client = await connect(relay, 1);
  expect(await passes(host, client, toClient)).toBe(true);
  expect(await passes(client, host, toHost)).toBe(true);
});

test("each client is judged by its own connection", async () => {
  const relay = await newConnectedRelay("host", "allowed", "other");
  await allowBoth(relay.key, "host", "allowed");
  const host = await connect(relay, 0);
  const allowed = await connect(relay, 1);
  const other = await connect(relay, 2);
  expect(await passes(host, allowed, withId(1, 1))).toBe(true);
  expect(await passes(host, other, withId(2, 1))).toBe(false);
  expect(await passes(other, host, toHost)).toBe(false);
  expect(await passes(allowed, host, toHost)).toBe(true);
});

test("the permissions of connections with the same names in another organisation do not count", async () => {
  const theirs = await newConnectedRelay("host", "client");
  await allowBoth(theirs.key, "host", "client");
  const ours = await newConnectedRelay("host", "client");
  const host = await connect(ours, 0);
  const client = await connect(ours, 1);
  expect(await passes(host, client, toClient)).toBe(false);
});

describe("a refused frame", () => {
  test("is dropped and counted, and its sender is told once for each peer", async () => {
    const relay = await newConnectedRelay("host", "a", "b");
    const host = await connect(relay, 0);
    const a = await connect(relay, 1);
    const b = await connect(relay, 2);
    for (let i = 0; i < 3; i++) {
      expect(await passes(host, a, withId(1, i))).toBe(false);
      expect(await passes(host, b, withId(2, i))).toBe(false);
      expect(await passes(a, host, fromClient(i))).toBe(false);
    }
    expect(host.controls.filter(({ type }) => type === "refused")).toEqual([
      { type: "refused", connection_id: 1 },
      { type: "refused", connection_id: 2 },
    ]);
    expect(a.controls.filter(({ type }) => type === "refused")).toEqual([{ type: "refused" }]);
    expect(refusals(b)).toBe(0);
    expect(await readUser(relay, 0)).toMatchObject({ frames_dropped: 6, bytes_in: 6 });
    expect(await readUser(relay, 1)).toMatchObject({ frames_dropped: 3, bytes_out: 0 });
  });

  test("is reported again after the peer was allowed in between, and not because the object was evicted", async () => {
    const relay = await newConnectedRelay("host", "client");
    await allowBoth(relay.key, "host", "client");
    await set(relay.key, at("host", "client", "send"), false);
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    await passes(host, client, toClient);
    expect(refusals(host)).toBe(1);
    await evictDurableObject(relay.stub);
    await passes(host, client, toClient);
    expect(refusals(host)).toBe(1);
    await set(relay.key, at("host", "client", "send"), true);
    await until(true, host, client, toClient);
    await set(relay.key, at("host", "client", "send"), false);
    await until(false, host, client, toClient);
    expect(refusals(host)).toBe(2);
  });
});

describe("a permission that changes while frames flow", () => {
  test.each([
    ["the sender's", at("host", "client", "send")],
    ["the receiver's", at("client", "host", "receive")],
  ])(
    "stops them when %s is switched off, sooner than the object's copy is old, and lets them pass when it is switched on",
    async (_, path) => {
      // The clock is stopped, so it is the notice that stops them.
      stopClockAhead();
      const relay = await newConnectedRelay("host", "client");
      await allowBoth(relay.key, "host", "client");
      const host = await connect(relay, 0);
      const client = await connect(relay, 1);
      for (let round = 0; round < 3; round++) {
        expect(await passes(host, client, toClient)).toBe(true);
        await set(relay.key, path, false);
        await until(false, host, client, toClient);
        for (let i = 0; i < 10; i++) expect(await passes(host, client, toClient)).toBe(false);
        expect(await passes(client, host, toHost)).toBe(true);
        await set(relay.key, path, true);
        await until(true, host, client, toClient);
      }
      expect([host.open, client.open]).toEqual([true, true]);
    },
  );

  test("stops them when it is deleted, and lets them pass when it is created again", async () => {
    const relay = await newConnectedRelay("host", "client");
    await allowBoth(relay.key, "host", "client");
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    await call("DELETE", at("host", "client", "send"), { key: relay.key });
    await until(false, host, client, toClient);
    await bring(relay.key, at("host", "client", "send"), "enabled");
    await until(true, host, client, toClient);
  });

  test("takes effect in every live session that has both connections", async () => {
    const relay = await newConnectedRelay("host", "client");
    const { key } = relay;
    await allowBoth(key, "host", "client");
    const users = ["host", "client"].map((connection_id) => ({ ip: "192.0.2.1", connection_id }));
    const { body } = await call("POST", "/v1/relays/sessions", { key, body: { users } });
    const second = {
      ...relay,
      id: body.session_id,
      sessionToken: body.authorization_token,
      userTokens: body.session_users.map(
        (user: { authorization_token: number }) => user.authorization_token,
      ),
    };
    const pairs = [];
    for (const one of [relay, second]) {
      pairs.push([await connect(one, 0), await connect(one, 1)] as const);
    }
    await set(key, at("host", "client", "send"), false);
    for (const [host, client] of pairs) await until(false, host, client, toClient);
  });

  test("stops them after the object was evicted, and lets through a frame that wakes it when it is allowed", async () => {
    const relay = await newConnectedRelay("host", "client");
    await allowBoth(relay.key, "host", "client");
    const host = await connect(relay, 0);
    const client = await connect(relay, 1);
    await evictDurableObject(relay.stub);
    for (const payload of [1, 2, 3]) host.send(...withId(1, payload));
    await host.settle();
    expect(await client.settle()).toEqual([
      [2, 1],
      [2, 2],
      [2, 3],
    ]);
    await evictDurableObject(relay.stub);
    await set(relay.key, at("host", "client", "send"), false);
    await until(false, host, client, toClient);
    await evictDurableObject(relay.stub);
    expect(await passes(host, client, toClient)).toBe(false);
    await set(relay.key, at("host", "client", "send"), true);
    await until(true, host, client, toClient);
  });
});

test("a user who is authorised later, and one who connects again, are judged by the permissions of that moment", async () => {
  const relay = await newRelay(0, { users: [{ ip: "192.0.2.1", connection_id: "host" }] });
  await call("POST", "/connections/definition", { key: relay.key, body: { connectionId: "host" } });
  await call("POST", "/connections/definition", { key: relay.key, body: { connectionId: "late" } });
  await allowBoth(relay.key, "host", "late");
  const host = await connect(relay, 0);
  const { body } = await call("POST", "/v1/relays/sessions:authorize-user", {
    key: relay.key,
    body: { session_id: relay.id, user_ip: "192.0.2.2", connection_id: "late" },
  });
  relay.userTokens.push(body.session_user.authorization_token);
  const late = await connect(relay, 1);
  expect(await passes(host, late, toClient)).toBe(true);
  await set(relay.key, at("host", "late", "send"), false);
  const again = await connect(relay, 1);
  expect(await passes(host, again, toClient)).toBe(false);
});
