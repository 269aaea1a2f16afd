/** Webhook endpoints in ricloud's format: their states, what is posted, and how they are tested. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { moveClock } from "../../support/clock";
import { eventually } from "../../support/eventually";
import { recordedIn } from "../../support/journals";
import { newKey } from "../../support/keys";
import { createMailbox } from "../../support/receiver";
import { receive } from "../../support/ricloud-client";
import { create, eventsOf, newBroker } from "../../support/source-sessions";

const PATH = "/configs/webhook";

function newHook() {
  return createMailbox(env.TEST_RECEIVER_URL);
}

function configure(tenant: Tenant, url: string) {
  return call("POST", PATH, { key: tenant.key, body: { url } });
}

/** The config once it is in this state. */
function becomes(tenant: Tenant, id: string, state: string) {
  return eventually(async () => {
    const { body } = await call("GET", `${PATH}/${id}`, { key: tenant.key });
    if (body.state !== state) throw new Error(`still ${body.state}`);
    return body;
  });
}

describe("a webhook config", () => {
  test("is new, is tested at once with one signed request, and is then valid", async () => {
    const tenant = await newOrganisation();
    const hook = newHook();
    const { status, body } = await configure(tenant, hook.url);
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^whe_/),
      resource: "webhook_config",
      organisation: tenant.id,
      url: hook.url,
      secret: expect.stringMatching(/^whsec_/),
      state: "new",
      date_created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    const [request] = await hook.waitForRequests(1);
    if (!request) throw new Error("nothing arrived");
    const event = receive(request, hook.url, body.secret);
    expect(event).toMatchObject({ type: "webhook_config", action: "test", data: { id: body.id } });
    expect(request.body).not.toContain(body.secret);
    expect(await becomes(tenant, body.id, "valid")).toEqual({ ...body, state: "valid" });
    expect(() => receive(request, hook.url, `${body.secret}x`)).toThrow("does not match");
  });

  test("is invalid when its receiver refuses the test, is not tested again, and still gets events", async () => {
    const broker = await newBroker();
    const hook = newHook();
    await hook.answer({ kind: "status", status: 500 }, { kind: "status", status: 204 });
    const { body } = await configure(broker, hook.url);
    await becomes(broker, body.id, "invalid");
    const { body: page } = await call("GET", "/events?type=webhook_config", { key: broker.key });
    expect(page.data).toMatchObject([{ action: "test", state: "failed", retries: 0 }]);
    await create(broker, { wait: 10 });
    const requests = await hook.waitForRequests(3);
    expect(requests.map(({ body: text }) => JSON.parse(text).action)).toEqual(
      expect.arrayContaining(["test", "created", "active"]),
    );
    const again = await call("POST", `${PATH}/${body.id}/test`, { key: broker.key, body: "null" });
    expect(again.status).toBe(200);
    await becomes(broker, body.id, "valid");
  });

  test("gets nothing once it is deactivated, until it is new again", async () => {
    const broker = await newBroker();
    const hook = newHook();
    const { body } = await configure(broker, hook.url);
    await becomes(broker, body.id, "valid");
    const path = `${PATH}/${body.id}`;
    const off = await call("POST", path, { key: broker.key, body: { state: "deactivated" } });
    expect(off.body.state).toBe("deactivated");
    await create(broker, { wait: 10 });
    await eventsOf(broker, 2);
    const owed = (await recordedIn(broker.id)).flatMap(({ deliveries }) => deliveries);
    expect(owed).toHaveLength(1);
    const on = await call("POST", path, { key: broker.key, body: { state: "new" } });
    expect(on.body.state).toBe("new");
    await create(broker, { payload: { password: "wrong" }, wait: 10 });
    const requests = await hook.waitForRequests(3);
    expect(requests.map(({ body: text }) => JSON.parse(text).action).sort()).toEqual([
      "created",
      "failed",
      "test",
    ]);
  });

  test("is answered as it was when it is deleted, and gets nothing more", async () => {
    const broker = await newBroker();
    const hook = newHook();
    const { body } = await configure(broker, hook.url);
    const valid = await becomes(broker, body.id, "valid");
    const path = `${PATH}/${body.id}`;
    const deleted = await call("DELETE", path, { key: broker.key });
    expect(deleted.status).toBe(200);
    expect(deleted.body).toEqual(valid);
    expect((await call("GET", path, { key: broker.key })).status).toBe(404);
    await create(broker, { wait: 10 });
    const other = newHook();
    await configure(broker, other.url);
    await other.waitForRequests(1);
    expect(await hook.requests()).toHaveLength(1);
  });

  test("is new with another address, and what is owed goes to that address", async () => {
    const broker = await newBroker();
    const [old, next] = [newHook(), newHook()];
    await old.answer({ kind: "status", status: 204 }, { kind: "status", status: 503 });
    const { body } = await configure(broker, old.url);
    await becomes(broker, body.id, "valid");
    await create(broker, { identifier: "jo+lost" });
    await old.waitForRequests(2);
    const path = `${PATH}/${body.id}`;
    const moved = await call("POST", path, { key: broker.key, body: { url: next.url } });
    expect(moved.body).toMatchObject({ url: next.url, state: "new", secret: body.secret });
    const [retried] = await next.waitForRequests(1);
    expect(receive(retried as never, next.url, body.secret)).toMatchObject({
      action: "created",
      retries: 1,
    });
  });

  test("keeps its query after the path of the event", async () => {
    const tenant = await newOrganisation();
    const hook = newHook();
    await configure(tenant, `${hook.url}/?tenant=7`);
    const [request] = await hook.waitForRequests(1);
    expect(request?.path).toMatch(/\/[0-9a-f-]{36}\?tenant=7$/);
  });

  test.each([
    ["http://10.0.0.1/"],
    ["http://localhost:8787/"],
    ["ftp://example.com/"],
    ["not a url"],
  ])("is refused for %s", async (url) => {
    const tenant = await newOrganisation();
    const { status, body } = await configure(tenant, url);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: "invalid-parameter", params: { url: expect.any(String) } });
    const { body: page } = await call("GET", PATH, { key: tenant.key });
    expect(page.data).toEqual([]);
  });

  test("is seen, changed, tested and deleted only by its own organisation", async () => {
    const [tenant, other] = await Promise.all([newOrganisation(), newOrganisation()]);
    const { body } = await configure(tenant, newHook().url);
    const path = `${PATH}/${body.id}`;
    for (const [method, at] of [
      ["GET", path],
      ["POST", path],
      ["DELETE", path],
      ["POST", `${path}/test`],
      ["GET", `${path}/test`],
    ] as const) {
      const answer = await call(method, at, { key: other.key });
      expect(answer.status, `${method} ${at}`).toBe(404);
      expect(answer.body.error).toBe("not-found");
    }
    expect((await call("GET", PATH, { key: other.key })).body.data).toEqual([]);
  });
});

afterEach(() => vi.useRealTimers());

test("a webhook secret is shown to a key that may write, and not to one that may only read", async () => {
  const tenant = await newOrganisation();
  const { body } = await configure(tenant, newHook().url);
  expect(body.secret).toMatch(/^whsec_/);
  const { token } = await newKey(tenant, { permissions: ["webhooks:read"] });
  for (const [key, secret] of [
    [tenant.key, body.secret],
    [token, null],
  ]) {
    const one = await call("GET", `/configs/webhook/${body.id}`, { key });
    const list = await call("GET", "/configs/webhook", { key });
    expect([one.body.secret, list.body.data[0].secret]).toEqual([secret, secret]);
  }
});

test("webhook configs are listed newest first, by pages", async () => {
  const tenant = await newOrganisation();
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    ids.unshift((await configure(tenant, `${newHook().url}/${i}`)).body.id);
    moveClock(1_000);
  }
  const idsAt = async (query: string) => {
    const { body } = await call("GET", `${PATH}?${query}`, { key: tenant.key });
    return [body.data.map(({ id }: { id: string }) => id), body.has_more];
  };
  expect(await idsAt("")).toEqual([ids, false]);
  expect(await idsAt("limit=2")).toEqual([ids.slice(0, 2), true]);
  expect(await idsAt(`after_id=${ids[1]}`)).toEqual([ids.slice(2), false]);
  expect(await idsAt(`before_id=${ids[1]}`)).toEqual([ids.slice(0, 1), false]);
});
