/** What is sent to a connector, what it may answer, and that no answer can do harm. */
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { call } from "../support/client";
import { type Behaviour, createMailbox } from "../support/receiver";
import { create, newActive, newBroker, newConnector, read } from "../support/source-sessions";

function answering(body: string, status = 200, headers: Record<string, string> = {}): Behaviour {
  return { kind: "status", status, body, headers };
}

describe("a connector", () => {
  test("is asked once, with the credentials, in a request signed with its own secret", async () => {
    const broker = await newBroker();
    const { type, secret, mailbox } = await newConnector(broker, { result: "active" });
    const payload = { password: "a b", code: 7, more: { deep: [true, null] } };
    const { body } = await create(broker, {
      type,
      identifier: "jo@example.com",
      payload,
      wait: 10,
    });
    const [request, ...more] = await mailbox.requests();
    expect(more).toEqual([]);
    if (!request) throw new Error("nothing arrived");
    expect(new Webhook(secret).verify(request.body, request.headers)).toEqual({
      session_id: body.id,
      source: {
        id: body.source.id,
        user: broker.userId,
        type,
        identifier: "jo@example.com",
      },
      payload,
    });
    expect(request).toMatchObject({
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    expect(request.headers.authorization).toBeUndefined();
  });

  test.each(["code-required", "code-invalid", "invalid-credentials", "service-unavailable"])(
    "that answers %s fails the session with that reason",
    async (error) => {
      const broker = await newBroker();
      const { type } = await newConnector(broker, { result: "failed", error });
      const { body } = await create(broker, { type, wait: 10 });
      expect(body).toMatchObject({ state: "failed", error, error_class: "init_failed" });
    },
  );

  test.each<[string, Behaviour]>([
    ["nothing", { kind: "status", status: 204 }],
    ["no JSON", answering("active")],
    ["JSON that is no object", answering('"active"')],
    ["an array", answering('[{"result":"active"}]')],
    ["null", answering("null")],
    ["another result", answering('{"result":"ACTIVE"}')],
    ["no result", answering('{"status":"active"}')],
    ["active with an error status", answering('{"result":"active"}', 500)],
    ["active with a refusal's status", answering('{"result":"active"}', 401)],
    ["an expiry that is no date", answering('{"result":"active","expires_at":"tomorrow"}')],
    ["an expiry that is a number", answering('{"result":"active","expires_at":4102444800}')],
    [
      "an expiry that has passed",
      answering('{"result":"active","expires_at":"2020-01-01T00:00:00Z"}'),
    ],
    ["a failure without a code", answering('{"result":"failed"}')],
    ["a failure with words of its own", answering('{"result":"failed","error":"abcd1234"}')],
    ["a code that is only ours", answering('{"result":"failed","error":"verification-timeout"}')],
    ["more than an answer needs", answering(`{"result":"active","x":"${"x".repeat(20_000)}"}`)],
    ["JSON nested deeper than anyone reads", answering("[".repeat(10_000))],
    ["a null byte in front of it", answering('\ufeff\u0000{"result":"active"}')],
    ["a broken connection", { kind: "reset" }],
  ])("that answers with %s fails the session as unavailable", async (_, behaviour) => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker);
    await mailbox.answer(behaviour);
    const { status, body } = await create(broker, { type, wait: 10 });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      state: "failed",
      error: "service-unavailable",
      error_class: "init_failed",
    });
  });

  test("that redirects fails the session, and the address that it points to gets nothing", async () => {
    const broker = await newBroker();
    const elsewhere = createMailbox(env.TEST_RECEIVER_URL);
    await elsewhere.answer(answering('{"result":"active"}'));
    const { type, mailbox } = await newConnector(broker);
    await mailbox.answer({ kind: "redirect", to: elsewhere.url });
    const { body } = await create(broker, { type, wait: 10 });
    expect(body).toMatchObject({ state: "failed", error: "service-unavailable" });
    expect(await elsewhere.requests()).toEqual([]);
  });

  test("that does not answer in its time fails the session as unavailable", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, undefined, { timeout_seconds: 1 });
    await mailbox.answer({ kind: "hang" });
    const { body } = await create(broker, { type, wait: 10 });
    expect(body).toMatchObject({ state: "failed", error: "service-unavailable" });
  });

  test("is not asked where we may no longer send to its address", async () => {
    const broker = await newBroker();
    const { type, mailbox } = await newConnector(broker, { result: "active" });
    await env.DB.prepare("update connectors set url = ? where organisation_id = ?")
      .bind("http://10.0.0.1/", broker.id)
      .run();
    const { body } = await create(broker, { type, wait: 10 });
    expect(body).toMatchObject({ state: "failed", error: "service-unavailable" });
    expect(await mailbox.requests()).toEqual([]);
  });
});

describe("registering a connector", () => {
  const url = "http://127.0.0.1:9/verify";

  test("keeps its terms, which hold for the sessions created from then on", async () => {
    const broker = await newBroker();
    const terms = { session_ttl_seconds: 3_600, idle_seconds: 60, timeout_seconds: 3 };
    const { type, mailbox } = await newConnector(broker, { result: "active" }, terms);
    const { status, body } = await call("GET", `/v1/connectors/${type}`, { key: broker.key });
    expect(status).toBe(200);
    expect(body).toEqual({
      type,
      url: mailbox.url,
      check_interval_seconds: null,
      ...terms,
      created_at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      last_failure: null,
    });
    const session = (await read(broker, await newActive(broker, { type }))).body;
    expect(Date.parse(session.expires_at) - Date.parse(session.date_created)).toBe(3_600_000);
  });

  test("gives it default terms", async () => {
    const broker = await newBroker();
    const { type } = await newConnector(broker);
    const { body } = await call("GET", `/v1/connectors/${type}`, { key: broker.key });
    expect(body).toMatchObject({
      timeout_seconds: 10,
      check_interval_seconds: null,
      session_ttl_seconds: 2_592_000,
      idle_seconds: 86_400,
    });
  });

  test("again keeps its secret, and after a deletion gives another", async () => {
    const broker = await newBroker();
    const { type, secret } = await newConnector(broker);
    const path = `/v1/connectors/${type}`;
    const changed = await call("PUT", path, { key: broker.key, body: { url: `${url}/2` } });
    expect(changed.body).toMatchObject({ url: `${url}/2`, secret });
    expect((await call("DELETE", path, { key: broker.key })).status).toBe(204);
    expect((await call("GET", path, { key: broker.key })).status).toBe(404);
    expect((await call("DELETE", path, { key: broker.key })).status).toBe(404);
    const renewed = await call("PUT", path, { key: broker.key, body: { url } });
    expect(renewed.body.secret).toMatch(/^whsec_/);
    expect(renewed.body.secret).not.toBe(secret);
  });

  test("shows it to its own organisation only, which has none for the type of another organisation's", async () => {
    const broker = await newBroker();
    const other = await newBroker();
    const { type, secret } = await newConnector(broker, { result: "active" });
    expect((await call("GET", `/v1/connectors/${type}`, { key: other.key })).status).toBe(404);
    expect((await call("DELETE", `/v1/connectors/${type}`, { key: other.key })).status).toBe(404);
    expect((await create(other, { type })).body.error).toBe("unconfigured");
    const same = await call("PUT", `/v1/connectors/${type}`, { key: other.key, body: { url } });
    expect(same.body.secret).not.toBe(secret);
  });

  test.each([
    ["without a url", {}, "url"],
    ["with a field that nobody knows", { url, retries: 3 }, "retries"],
    ["with no time to answer", { url, timeout_seconds: 0 }, "timeout_seconds"],
    ["with more time than there is", { url, timeout_seconds: 31 }, "timeout_seconds"],
    ["with checks all the time", { url, check_interval_seconds: 0 }, "check_interval_seconds"],
    ["with a life of two seconds", { url, session_ttl_seconds: 2 }, "session_ttl_seconds"],
    ["with an idle time of two seconds", { url, idle_seconds: 2 }, "idle_seconds"],
    ["with half a second", { url, timeout_seconds: 1.5 }, "timeout_seconds"],
    ["with an address inside", { url: "http://10.0.0.1/" }, "url"],
    ["with our own address", { url: "http://localhost:8787/" }, "url"],
    ["with another scheme", { url: "ftp://example.com/" }, "url"],
  ])("is refused %s", async (_, body, field) => {
    const broker = await newBroker();
    const answer = await call("PUT", "/v1/connectors/test.type", { key: broker.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toMatchObject([{ path: field, message: expect.any(String) }]);
    expect((await call("GET", "/v1/connectors/test.type", { key: broker.key })).status).toBe(404);
  });

  test.each(["mocks.mock", "a%20b", ".hidden", "x".repeat(65)])(
    "is refused for the type %s",
    async (type) => {
      const broker = await newBroker();
      const answer = await call("PUT", `/v1/connectors/${type}`, {
        key: broker.key,
        body: { url },
      });
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toMatchObject([{ path: "type" }]);
    },
  );
});
