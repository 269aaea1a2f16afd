/**
 * Somebody who only watches relay sessions does not keep them alive, and costs no row: a read with
 * `touch=false`, and a list with `with_traffic=true`, which asks each session for its figures.
 */
import { evictDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionObject } from "../../../src/session-object/object";
import { type Answer, call, newOrganisation } from "../../support/client";
import { moveClock, stopClock } from "../../support/clock";
import { stubOf } from "../../support/faults";
import { newLinkedNode } from "../../support/relay-node";
import { rowsOf, settled } from "../../support/rows";
import { create, idsOf, list, read, SESSIONS } from "../../support/sessions";
import { connect, createRelay, fromClient } from "../../support/socket";

const SECOND = 1_000;
const two = { users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }] };
const nobodyKnows = {
  connected: null,
  bytes_in: null,
  bytes_out: null,
  frames_dropped: null,
  latitude: null,
  longitude: null,
};

const look = (key: string, id: string): Promise<Answer> =>
  call("GET", `${SESSIONS}/${id}?touch=false`, { key });
const listWithTraffic = (key: string, more = ""): Promise<Answer> =>
  list(key, `?with_traffic=true${more}`);

/** Each way to watch a session, and whether it is there. */
const WAYS: [string, (key: string, id: string) => Promise<boolean>][] = [
  ["a read with touch=false", async (key, id) => (await look(key, id)).status === 200],
  [
    "a list with with_traffic=true",
    async (key, id) => idsOf(await listWithTraffic(key)).includes(id),
  ],
];

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe.each(WAYS)("%s", (_, isThere) => {
  test.each([
    ["stays in memory", async () => {}],
    ["is evicted each time", async (id: string) => evictDurableObject(stubOf(id))],
  ])("does not keep alive a session whose object %s", async (_, between) => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { idle_seconds: 100 })).body;
    for (let i = 0; i < 4; i++) {
      moveClock(24 * SECOND);
      expect(await isThere(key, id)).toBe(true);
      await between(id);
    }
    // An idle session ends between idle_seconds and a quarter more after its last use.
    moveClock(30 * SECOND);
    // A list that finds out that a session has ended still has the row that it read before.
    await isThere(key, id);
    expect(await isThere(key, id)).toBe(false);
    expect((await read(key, id)).status).toBe(404);
    expect(idsOf(await list(key))).toEqual([]);
  });

  test("writes no row, also when the object has to be woken", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, two)).body;
    await list(key);
    await settled();
    // A read that counts as use would move the alarm by now.
    moveClock(200 * SECOND);
    for (const wake of [false, true]) {
      if (wake) await evictDurableObject(stubOf(id));
      const rows = await rowsOf(() => isThere(key, id));
      expect(rows).toMatchObject({ d1Written: 0, objectWritten: 0, objectRead: wake ? 3 : 0 });
    }
    const touching = await rowsOf(() => read(key, id));
    expect(touching.objectWritten).toBe(1);
  });

  test("does not keep alive a session on a relay node", async () => {
    const { key } = await newOrganisation();
    const node = await newLinkedNode(key);
    const { session_id: id } = (await create(key, two)).body;
    expect(await isThere(key, id)).toBe(true);
    node.send({ type: "silent", id });
    expect(await node.next("end")).toMatchObject({ id, reason: "api" });
  });
});

describe("a read of a relay session", () => {
  test("with touch=false shows what a read shows, and with touch=true is one", async () => {
    const { key } = await newOrganisation();
    stopClock();
    const { session_id: id } = (await create(key, { ...two, idle_seconds: 100 })).body;
    expect((await look(key, id)).body).toEqual((await read(key, id)).body);
    for (let i = 0; i < 3; i++) {
      moveClock(90 * SECOND);
      expect((await call("GET", `${SESSIONS}/${id}?touch=true`, { key })).status).toBe(200);
    }
  });

  test("with touch=false is 404 for another organisation", async () => {
    const [mine, other] = [await newOrganisation(), await newOrganisation()];
    const { session_id: id } = (await create(mine.key)).body;
    const refused = await look(other.key, id);
    expect([refused.status, refused.body.code]).toEqual([404, "session-not-found"]);
  });

  test.each(["touch=no", "touch=", "touch=0", "touch=False"])("refuses ?%s", async (query) => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const refused = await call("GET", `${SESSIONS}/${id}?${query}`, { key });
    expect(refused.status).toBe(400);
    expect(refused.body).toEqual({
      code: "invalid-parameter",
      message: "touch must be true or false.",
    });
  });
});

describe("a list of relay sessions with with_traffic=true", () => {
  test("shows each session as a read shows it, with the figures of its sockets", async () => {
    const { key } = await newOrganisation();
    const quiet = (await create(key, two)).body.session_id;
    const relay = await createRelay(key, two);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    client.send(...fromClient(1, 2, 3));
    await host.frame();
    const { body } = await listWithTraffic(key);
    expect(new Set(idsOf({ body } as Answer))).toEqual(new Set([quiet, relay.id]));
    for (const session of body.sessions) {
      expect(session).toEqual((await read(key, session.session_id)).body);
    }
    const users = (id: string) =>
      body.sessions.find((each: { session_id: string }) => each.session_id === id).session_users;
    expect(users(relay.id)[1]).toMatchObject({ connected: true, bytes_in: 3 });
    expect(users(quiet)[1]).toMatchObject({ connected: false, bytes_in: 0 });
    const [plain] = (await list(key)).body.sessions;
    expect(plain.session_users[0]).toMatchObject(nobodyKnows);
  });

  test("asks only the sessions of the page", async () => {
    const { key } = await newOrganisation();
    for (let i = 0; i < 3; i++) await create(key);
    const asked = vi.spyOn(SessionObject.prototype, "peek");
    const { body } = await listWithTraffic(key, "&page=2&limit=1");
    expect(body).toMatchObject({ total_count: 3, pagination: { number: 2, has_next: true } });
    expect(asked).toHaveBeenCalledTimes(1);
  });

  test("shows the figures of a relay node", async () => {
    const { key } = await newOrganisation();
    await newLinkedNode(key);
    await create(key, two);
    const { session_users: users } = (await listWithTraffic(key)).body.sessions[0];
    expect(users[0]).toMatchObject({ connected: true, bytes_in: 100, bytes_out: 200 });
  });

  test.each([
    ["does not answer", () => new Promise<never>(() => {})],
    ["fails", () => Promise.reject(new Error("this object is broken"))],
  ])("shows a session whose object %s as the list has it, without figures", async (_, answer) => {
    const { key } = await newOrganisation();
    const [broken, whole] = [(await create(key, two)).body, (await create(key, two)).body];
    const { peek } = SessionObject.prototype;
    vi.spyOn(SessionObject.prototype, "peek").mockImplementation(async function (
      this: SessionObject,
      organisationId,
    ) {
      const { id } = (this as unknown as { ctx: DurableObjectState }).ctx;
      return id.name === broken.session_id ? answer() : peek.call(this, organisationId);
    });
    const { status, body } = await listWithTraffic(key);
    expect(status).toBe(200);
    expect(body.total_count).toBe(2);
    for (const session of body.sessions) {
      const isBroken = session.session_id === broken.session_id;
      const expected = isBroken ? nobodyKnows : { connected: false, bytes_in: 0 };
      for (const user of session.session_users) expect(user).toMatchObject(expected);
    }
    expect(new Set(idsOf({ body } as Answer))).toEqual(
      new Set([broken.session_id, whole.session_id]),
    );
  });

  test("shows a session that has ended, but is listed still, without figures", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key, two)).body;
    const { peek } = SessionObject.prototype;
    // It ends after D1 was read.
    vi.spyOn(SessionObject.prototype, "peek").mockImplementation(async function (
      this: SessionObject,
      organisationId,
    ) {
      await this.expire(organisationId, "organisation");
      return peek.call(this, organisationId);
    });
    const { body } = await listWithTraffic(key);
    expect(idsOf({ body } as Answer)).toEqual([id]);
    expect(body.sessions[0]).toMatchObject({ status: "READY", error: null });
    expect(body.sessions[0].session_users[1]).toMatchObject(nobodyKnows);
  });

  test("shows the users who are there now, also where D1 shows others", async () => {
    const { key } = await newOrganisation();
    const { session_id: id, session_users: users } = (await create(key, two)).body;
    const { peek } = SessionObject.prototype;
    vi.spyOn(SessionObject.prototype, "peek").mockImplementation(async function (
      this: SessionObject,
      organisationId,
    ) {
      await this.revokeUser(organisationId, users[1].authorization_token);
      return peek.call(this, organisationId);
    });
    const { body } = await listWithTraffic(key);
    expect(idsOf({ body } as Answer)).toEqual([id]);
    expect(body.sessions[0].session_users).toHaveLength(1);
  });

  test("takes 25 sessions a page at most, and says so", async () => {
    const { key } = await newOrganisation();
    expect((await listWithTraffic(key, "&limit=25")).status).toBe(200);
    for (const limit of [26, 100]) {
      const { status, body } = await listWithTraffic(key, `&limit=${limit}`);
      expect(status).toBe(400);
      expect(body).toEqual({
        code: "invalid-parameter",
        message: "limit must be at most 25 where with_traffic is true.",
      });
      expect((await list(key, `?with_traffic=false&limit=${limit}`)).status).toBe(200);
    }
    const { status, body } = await list(key, "?with_traffic=yes");
    expect([status, body.message]).toEqual([400, "with_traffic must be true or false."]);
  });
});
