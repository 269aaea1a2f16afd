/** How a source session ends, for each reason, and how one that nobody verifies fails. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionObject } from "../../src/session-object/object";
import { call } from "../support/client";
import { moveClock, stopClock } from "../support/clock";
import { eventually } from "../support/eventually";
import {
  create,
  eventsOf,
  list,
  newActive,
  newBroker,
  newConnector,
  objectOf,
  read,
  remove,
  use,
} from "../support/source-sessions";
import { runSweep } from "../support/sweep";

const HOUR_MS = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function expireAsAdmin(id: string) {
  return call("POST", `/v1/sessions/${id}:expire`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
}

/** The request with which a connector ends a session. */
function expireAsConnector(id: string, secret: string, body: unknown = { reason: "service" }) {
  const text = JSON.stringify(body);
  const at = new Date();
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(secret).sign("msg_1", at, text),
  };
  return call("POST", `/v1/sessions/${id}:expire`, { body: text, headers });
}

describe("an active source session expires", () => {
  test("by its organisation, with DELETE, which answers with the session", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    const { status, body } = await remove(broker, id);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, state: "expired", error: "organisation", error_class: null });
    expect(body.date_expired).toMatch(/Z$/);
    const events = await eventsOf(broker, 3);
    expect(events.map(({ action }) => action)).toEqual(["created", "active", "expired"]);
    expect(events[2]?.data).toMatchObject({ id, state: "expired", error: "organisation" });
  });

  test("by an admin, with the root token", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    const { status, body } = await expireAsAdmin(id);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, state: "expired", error: "admin" });
    expect((await read(broker, id)).body).toMatchObject({ state: "expired", error: "admin" });
    expect((await eventsOf(broker, 3))[2]?.data).toMatchObject({ error: "admin" });
  });

  test("by its service, when the connector says so with its signature", async () => {
    const broker = await newBroker();
    const { type, secret } = await newConnector(broker, { result: "active" });
    const id = await newActive(broker, { type });
    const { status, body } = await expireAsConnector(id, secret);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, state: "expired", error: "service" });
    expect((await eventsOf(broker, 3))[2]?.data).toMatchObject({ error: "service" });
  });

  test("by its service, at the time that its connector gave", async () => {
    const broker = await newBroker();
    stopClock();
    const expiresAt = new Date(Date.now() + HOUR_MS).toISOString();
    const { type } = await newConnector(broker, { result: "active", expires_at: expiresAt });
    const { body } = await create(broker, { type, wait: 10 });
    expect(body.expires_at).toBe(`${expiresAt.slice(0, 19)}Z`);
    moveClock(HOUR_MS - 1_000);
    expect((await read(broker, body.id)).body.state).toBe("active");
    moveClock(2_000);
    expect((await read(broker, body.id)).body).toMatchObject({
      state: "expired",
      error: "service",
    });
  });

  test("by Drawbridge when its life is over, though its connector gave it longer", async () => {
    const broker = await newBroker();
    const expiresAt = new Date(Date.now() + 100 * HOUR_MS).toISOString();
    const { type } = await newConnector(
      broker,
      { result: "active", expires_at: expiresAt },
      { session_ttl_seconds: 3_600 },
    );
    const id = await newActive(broker, { type });
    moveClock(HOUR_MS + 1_000);
    expect((await read(broker, id)).body).toMatchObject({ state: "expired", error: "api" });
  });

  test("by Drawbridge after a day without a use, however often it was read", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    for (let hours = 0; hours < 23; hours += 8) {
      moveClock(8 * HOUR_MS - 1_000);
      await read(broker, id);
    }
    moveClock(HOUR_MS);
    expect((await read(broker, id)).body).toMatchObject({ state: "expired", error: "api" });
    expect((await eventsOf(broker, 3))[2]?.data).toMatchObject({ error: "api" });
  });

  test("by its own alarm, when nobody calls", async () => {
    const broker = await newBroker();
    const { type } = await newConnector(broker, { result: "active" }, { idle_seconds: 60 });
    const id = await newActive(broker, { type });
    moveClock(76_000);
    await runDurableObjectAlarm(objectOf(id));
    const { body } = await list(broker, "state=expired");
    expect(body.data).toMatchObject([{ id, error: "api" }]);
  });
});

describe("a use of a source session", () => {
  test("keeps it from expiring as idle, also across an eviction", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    for (let days = 0; days < 5; days++) {
      moveClock(23 * HOUR_MS);
      const { status, body } = await use(broker, id);
      expect(status).toBe(200);
      expect(body).toMatchObject({ id, state: "active", error: null });
      await evictDurableObject(objectOf(id));
    }
    expect((await read(broker, id)).body).toMatchObject({
      state: "active",
      date_last_used: `${new Date().toISOString().slice(0, 19)}Z`,
    });
  });

  test("is refused with the session's state when that is not active", async () => {
    const broker = await newBroker();
    const pending = (await create(broker, { identifier: "jo+lost" })).body.id;
    const waiting = await use(broker, pending);
    expect(waiting.status).toBe(409);
    expect(waiting.body).toMatchObject({
      code: "session-not-active",
      state: "pending",
      error: null,
    });
    await remove(broker, pending);
    const ended = await use(broker, pending);
    expect(ended.status).toBe(409);
    expect(ended.body).toMatchObject({ state: "expired", error: "organisation" });
    const failed = await create(broker, { payload: {}, wait: 10 });
    expect((await use(broker, failed.body.id)).body).toMatchObject({
      state: "failed",
      error: "invalid-credentials",
    });
  });
});

describe("a pending source session", () => {
  test("fails by its own alarm when its Worker has died, also when its object was evicted", async () => {
    const broker = await newBroker();
    stopClock();
    // To the object, the built-in account that never answers looks like a Worker that has died.
    const { body } = await create(broker, { identifier: "jo+lost" });
    await evictDurableObject(objectOf(body.id));
    moveClock(14_000);
    expect((await list(broker, "state=pending")).body.data).toHaveLength(1);
    moveClock(2_000);
    await runDurableObjectAlarm(objectOf(body.id));
    const { body: page } = await list(broker, "state=failed");
    expect(page.data).toMatchObject([
      { id: body.id, error: "verification-timeout", error_class: "init_failed" },
    ]);
    const events = await eventsOf(broker, 2);
    expect(events[1]).toMatchObject({ action: "failed", data: { error: "verification-timeout" } });
  });

  test("fails by its own alarm when its connector accepted it and the Worker died before it could say so", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    const unheard = vi.spyOn(SessionObject.prototype, "activate");
    unheard.mockRejectedValue(new Error("the Worker is gone"));
    const { body } = await create(broker, { type });
    await mailbox.waitForRequests(1);
    await eventually(() => expect(unheard).toHaveBeenCalled());
    unheard.mockRestore();
    expect((await read(broker, body.id)).body.state).toBe("pending");
    moveClock(20_000);
    await runDurableObjectAlarm(objectOf(body.id));
    expect((await read(broker, body.id)).body).toMatchObject({
      state: "failed",
      error: "verification-timeout",
    });
    const events = await eventsOf(broker, 2);
    expect(events.map(({ action }) => action)).toEqual(["created", "failed"]);
  });

  test("fails with the next call, and with the sweep, when its alarm is lost as well", async () => {
    const broker = await newBroker();
    const asked = (await create(broker, { identifier: "jo+lost" })).body.id;
    const swept = (await create(broker, { identifier: "ann+lost" })).body.id;
    moveClock(100_000);
    const { body } = await read(broker, asked);
    expect(body).toMatchObject({ state: "failed", error: "verification-timeout" });
    await runSweep();
    const page = await list(broker, "state=failed");
    expect(page.body.data.map(({ id }: { id: string }) => id).sort()).toEqual(
      [asked, swept].sort(),
    );
  });

  test("is shown as failed in every list from its deadline on, also before that is recorded", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { identifier: "jo+lost" });
    moveClock(60_000);
    expect((await list(broker)).body.data).toMatchObject([{ id: body.id, state: "failed" }]);
    expect((await list(broker, "state=pending")).body.data).toEqual([]);
  });

  test("expires when it is deleted, and what its connector says afterwards changes nothing", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker);
    await mailbox.answer({
      kind: "status",
      status: 200,
      body: JSON.stringify({ result: "active" }),
      held: true,
    });
    const heard = vi.spyOn(SessionObject.prototype, "activate");
    const { body } = await create(broker, { type });
    await mailbox.waitForRequests(1);
    await remove(broker, body.id);
    expect(heard).not.toHaveBeenCalled();
    await mailbox.release();
    await eventually(() => expect(heard).toHaveBeenCalled());
    const settled = await objectOf(body.id).activate(broker.id, null);
    expect(settled).toMatchObject({
      ok: false,
      refusal: { code: "ended", reason: "organisation" },
    });
    expect((await read(broker, body.id)).body).toMatchObject({
      state: "expired",
      error: "organisation",
    });
  });
});

describe("a source session that has ended", () => {
  test("stays as it is: DELETE answers with it", async () => {
    const broker = await newBroker();
    const failed = await create(broker, { payload: {}, wait: 10 });
    const { status, body } = await remove(broker, failed.body.id);
    expect(status).toBe(200);
    expect(body).toEqual(failed.body);
    const id = await newActive(broker);
    await expireAsAdmin(id);
    const before = await read(broker, id);
    expect((await remove(broker, id)).body).toEqual(before.body);
    expect((await expireAsAdmin(id)).body).toMatchObject({ state: "expired", error: "admin" });
    const events = await eventsOf(broker, 5);
    expect(events).toHaveLength(5);
  });

  test("can neither be verified nor fail", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { payload: {}, wait: 10 });
    const object = objectOf(body.id);
    const before = await object.read(broker.id);
    const refused = { ok: false, refusal: { code: "ended", reason: "invalid-credentials" } };
    expect(await object.activate(broker.id, null)).toMatchObject(refused);
    expect(await object.fail(broker.id, "code-required")).toMatchObject(refused);
    // Its version counts its events: a refused command makes none.
    expect(await object.read(broker.id)).toEqual(before);
    const active = objectOf(await newActive(broker));
    const notPending = { ok: false, refusal: { code: "not-pending", status: "active" } };
    expect(await active.activate(broker.id, null)).toMatchObject(notPending);
    expect(await active.fail(broker.id, "code-required")).toMatchObject(notPending);
  });
});

describe("ending a source session without an API key", () => {
  test("takes the signature of the connector of the session's own type and organisation", async () => {
    const broker = await newBroker();
    const other = await newBroker();
    const { type, secret } = await newConnector(broker, { result: "active" });
    const foreign = await newConnector(other, { result: "active" });
    const sibling = await newConnector(broker, { result: "active" });
    const id = await newActive(broker, { type });
    for (const wrong of [foreign.secret, sibling.secret]) {
      const { status, body } = await expireAsConnector(id, wrong);
      expect(status).toBe(401);
      expect(body.code).toBe("wrong-signature");
    }
    const unsigned = await call("POST", `/v1/sessions/${id}:expire`, {
      body: { reason: "service" },
    });
    expect(unsigned.status).toBe(401);
    expect((await read(broker, id)).body.state).toBe("active");
    const { status, body } = await expireAsConnector(id, secret, { reason: "organisation" });
    expect(status).toBe(400);
    expect(body.code).toBe("invalid-body");
    expect((await read(broker, id)).body.state).toBe("active");
  });

  test("tells nobody whether the session exists", async () => {
    const broker = await newBroker();
    const { secret } = await newConnector(broker, { result: "active" });
    const mock = await newActive(broker);
    const unknown = "ses_AAAAAAAAAAAAAAAAAAAAAA";
    const answers = await Promise.all([
      expireAsConnector(unknown, secret),
      expireAsConnector(mock, secret),
      expireAsConnector("no-id", secret),
    ]);
    const said = answers.map(({ status, body }) => [status, body.detail]);
    expect(said[0]?.[0]).toBe(401);
    expect(new Set(said.map(String)).size).toBe(1);
  });

  test("is possible with the root token only as an admin, and not with an API key", async () => {
    const broker = await newBroker();
    const id = await newActive(broker);
    const { status } = await call("POST", `/v1/sessions/${id}:expire`, { key: broker.key });
    expect(status).toBe(401);
    expect((await read(broker, id)).body.state).toBe("active");
  });
});
