/**
 * How a session gets its first state: the answer of the third party, and what the API shows of it.
 */
import { describe, expect, test } from "vitest";
import { call } from "../../support/client";
import {
  create,
  eventsOf,
  list,
  newActive,
  newBroker,
  newConnector,
  read,
} from "../../support/source-sessions";

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

describe("a new source session", () => {
  test("is pending, and shows all fields that its client reads, and no payload", async () => {
    const broker = await newBroker();
    const { status, body, text } = await create(broker, { identifier: "jo+slow" });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^ses_[A-Za-z0-9_-]{22}$/),
      resource: "session",
      organisation: broker.id,
      key: expect.any(Number),
      user: broker.userId,
      source: {
        id: 1,
        resource: "source",
        organisation: broker.id,
        user: broker.userId,
        type: "mocks.mock",
        identifier: "jo+slow",
        state: "unvalidated",
        date_created: expect.stringMatching(DATE),
      },
      state: "pending",
      error: null,
      error_class: null,
      date_created: expect.stringMatching(DATE),
      date_expired: null,
      expires_at: expect.stringMatching(DATE),
      date_last_used: null,
    });
    expect(text).not.toContain("abcd1234");
  });

  test("is active once its service has accepted the password, and so is its source", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { wait: 10 });
    expect(body).toMatchObject({ state: "active", error: null, source: { state: "active" } });
    const again = await read(broker, body.id);
    expect(again.status).toBe(200);
    expect(again.body).toEqual(body);
    const source = await call("GET", `/sources/${body.source.id}`, { key: broker.key });
    expect(source.body).toEqual(body.source);
    const events = await eventsOf(broker, 2);
    expect(events.map(({ action }) => action)).toEqual(["created", "active"]);
    expect(events[0]?.data).toMatchObject({ state: "pending", source: { state: "unvalidated" } });
    expect(events[1]?.data).toEqual(body);
  });

  test("lives 30 days unless its connector says otherwise", async () => {
    const broker = await newBroker();
    const { body } = await create(broker);
    const days = (Date.parse(body.expires_at) - Date.parse(body.date_created)) / 86_400_000;
    expect(days).toBe(30);
  });
});

describe("a source session fails", () => {
  test.each([
    ["for another password", "jo", { password: "wrong" }, "invalid-credentials"],
    ["without a password", "jo", {}, "invalid-credentials"],
    ["without the code that is asked for", "jo+2fa", { password: "abcd1234" }, "code-required"],
    ["for another code", "jo+2fa", { password: "abcd1234", code: "000000" }, "code-required"],
    ["for a locked account", "jo+locked", { password: "abcd1234" }, "source-locked"],
  ])("%s", async (_, identifier, payload, error) => {
    const broker = await newBroker();
    const { status, body } = await create(broker, { identifier, payload, wait: 10 });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      state: "failed",
      error,
      error_class: "init_failed",
      date_expired: null,
    });
    const events = await eventsOf(broker, 2);
    expect(events.map(({ action }) => action)).toEqual(["created", "failed"]);
    expect(events[1]?.data).toMatchObject({ state: "failed", error });
  });

  test("and its source is locked when the service says so, until the service lets somebody in", async () => {
    const broker = await newBroker();
    const connector = await newConnector(broker, { result: "failed", error: "source-locked" });
    const locked = await create(broker, { type: connector.type, wait: 10 });
    expect(locked.body.source.state).toBe("locked");
    await connector.mailbox.answer({
      kind: "status",
      status: 200,
      body: JSON.stringify({ result: "active" }),
    });
    const payload = { password: "after the unlock" };
    const opened = await create(broker, { type: connector.type, payload, wait: 10 });
    expect(opened.body.source).toMatchObject({ id: locked.body.source.id, state: "active" });
    const source = await call("GET", `/sources/${opened.body.source.id}`, { key: broker.key });
    expect(source.body.state).toBe("active");
  });
});

test("two-factor access is two sessions: the first fails without a code, the next sends it", async () => {
  const broker = await newBroker();
  const identifier = "jo+2fa";
  const first = await create(broker, { identifier, wait: 10 });
  expect(first.body.error).toBe("code-required");
  const payload = { password: "abcd1234", code: "123456" };
  const second = await create(broker, { identifier, payload, wait: 10 });
  expect(second.body.state).toBe("active");
  expect(second.body.id).not.toBe(first.body.id);
  expect(second.body.source.id).toBe(first.body.source.id);
  expect((await list(broker)).body.data.map(({ state }: { state: string }) => state)).toEqual([
    "active",
    "failed",
  ]);
});

describe("Ricloud-Await", () => {
  test("is answered with the current state when its time is up", async () => {
    const broker = await newBroker();
    const { body } = await create(broker, { identifier: "jo+lost", wait: 1 });
    expect(body.state).toBe("pending");
  });

  test.each(["11", "-1", "1.5", "soon", ""])("is refused as %j", async (wait) => {
    const broker = await newBroker();
    const { status, body } = await create(broker, { headers: { "Ricloud-Await": wait } });
    expect(status).toBe(400);
    expect(body).toMatchObject({
      error: "invalid-parameter",
      params: { "Ricloud-Await": expect.any(String) },
    });
    expect((await list(broker)).body.data).toEqual([]);
  });
});

describe("the create of a source session is refused", () => {
  test.each([
    ["without a source", { payload: {} }, "source"],
    ["without a payload", { source: { user: 1, type: "mocks.mock", identifier: "jo" } }, "payload"],
    [
      "with a payload that is no object",
      { source: { user: 1, type: "mocks.mock", identifier: "jo" }, payload: "abcd1234" },
      "payload",
    ],
    [
      "with a user that is no number",
      { source: { user: "jo", type: "mocks.mock", identifier: "jo" }, payload: {} },
      "source.user",
    ],
    [
      "with a user that does not exist",
      { source: { user: 99, type: "mocks.mock", identifier: "jo" }, payload: {} },
      "source.user",
    ],
    [
      "with a type of another form",
      { source: { user: 1, type: "no type", identifier: "jo" }, payload: {} },
      "source.type",
    ],
    [
      "with an empty identifier",
      { source: { user: 1, type: "mocks.mock", identifier: "" }, payload: {} },
      "source.identifier",
    ],
  ])("%s", async (_, body, field) => {
    const broker = await newBroker();
    const answer = await call("POST", "/sessions", { key: broker.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      error: "invalid-parameter",
      message: expect.any(String),
      params: { [field]: expect.any(String) },
    });
    expect(answer.text).not.toContain("abcd1234");
  });

  test.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["null", "null"],
  ])("with a body that is %s", async (_, body) => {
    const broker = await newBroker();
    const answer = await call("POST", "/sessions", { key: broker.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toBe("invalid-body");
  });

  test("for a payload that is nested too deep to be sent to a connector, and leaves nothing behind", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    /** As text, since what is nested so deep cannot be made into JSON here either. */
    const createNested = (levels: number) => {
      const nested = '{"1":'.repeat(levels - 1);
      const source = JSON.stringify({ user: broker.userId, type, identifier: "jo" });
      const payload = `{"password":"abcd1234","more":${nested}0${"}".repeat(levels)}`;
      const body = `{"source":${source},"payload":${payload}}`;
      const headers = { "Ricloud-Await": "10" };
      return call("POST", "/sessions", { key: broker.key, body, headers });
    };
    for (const levels of [1_001, 3_000, 10_000]) {
      const { status, body } = await createNested(levels);
      expect([status, body.error]).toEqual([400, "invalid-parameter"]);
      expect(body.params.payload).toContain("1000 levels");
    }
    expect((await list(broker)).body.total_count).toBe(0);
    expect(await mailbox.requests()).toEqual([]);
    expect((await createNested(1_000)).body.state).toBe("active");
  });

  test("for a type that nobody can verify, and leaves no source behind", async () => {
    const broker = await newBroker();
    const { status, body } = await create(broker, { type: "icloud.account" });
    expect(status).toBe(400);
    expect(body.error).toBe("unconfigured");
    const sources = await call("GET", "/sources", { key: broker.key });
    expect(sources.body.data).toEqual([]);
  });

  test("for a source that is deactivated, until that is active again", async () => {
    const broker = await newBroker();
    const { body: session } = await create(broker, { wait: 10 });
    const path = `/sources/${session.source.id}`;
    const body = { state: "deactivated" };
    expect((await call("POST", path, { key: broker.key, body })).body.state).toBe("deactivated");
    const refused = await create(broker);
    expect(refused.status).toBe(403);
    expect(refused.body.error).toBe("source-deactivated");
    await call("POST", path, { key: broker.key, body: { state: "active" } });
    expect((await create(broker)).status).toBe(201);
  });
});

test("a user may be named by a string of digits", async () => {
  const broker = await newBroker();
  const id = await newActive(broker, { user: String(broker.userId) });
  expect((await read(broker, id)).body.user).toBe(broker.userId);
});
