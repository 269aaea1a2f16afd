/** The list of events: what each shows, its filters, and what it says of deliveries. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { eventually } from "../../support/eventually";
import { createMailbox } from "../../support/receiver";
import { create, eventsOf, newActive, newBroker, remove } from "../../support/source-sessions";

function events(key: string, query = "") {
  return call("GET", `/events?${query}`, { key });
}

test("an event shows its subject as it was right after the event", async () => {
  const broker = await newBroker();
  const id = await newActive(broker);
  const [created] = await eventsOf(broker, 2);
  expect(created).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/),
    resource: "event",
    organisation: broker.id,
    type: "session",
    action: "created",
    data: expect.objectContaining({ id, resource: "session", state: "pending" }),
    state: "pending",
    retries: 0,
    date_created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    date_delivered: null,
  });
  const path = `/events/${(created as unknown as { id: string }).id}`;
  const one = await call("GET", path, { key: broker.key });
  expect(one.status).toBe(200);
  expect(one.body).toEqual(created);
  const other = await newOrganisation();
  expect((await call("GET", path, { key: other.key })).status).toBe(404);
  expect((await events(other.key)).body.data).toEqual([]);
});

test("events of relay sessions are listed too, without the tokens that open the relay", async () => {
  const tenant = await newOrganisation();
  const made = await call("POST", "/v1/relays/sessions", {
    key: tenant.key,
    body: { users: [{ ip: "192.0.2.1" }], join_code: true },
  });
  const { body } = made;
  await call("POST", "/v1/relays/sessions:authorize-user", {
    key: tenant.key,
    body: { session_id: body.session_id, user_ip: "192.0.2.2" },
  });
  const [, active] = await eventsOf(tenant, 2);
  const { text, body: page } = await events(tenant.key);
  expect(page.data.map(({ action }: { action: string }) => action)).toEqual([
    "user_authorized",
    "active",
  ]);
  expect(active).toBeDefined();
  expect(page.data[1].data).toMatchObject({ id: body.session_id, kind: "relay", state: "active" });
  expect(page.data[1].data.resource).toBeUndefined();
  for (const secret of [
    body.authorization_token,
    body.session_users[0].authorization_token,
    body.join_code,
  ]) {
    expect(text).not.toContain(String(secret));
  }
});

describe("the list of events", () => {
  test("is filtered by type, action, date, and pages by id", async () => {
    const broker = await newBroker();
    const hook = createMailbox(env.TEST_RECEIVER_URL);
    await call("POST", "/configs/webhook", { key: broker.key, body: { url: hook.url } });
    await remove(broker, await newActive(broker));
    await create(broker, { payload: { password: "wrong" }, wait: 10 });
    await eventsOf(broker, 5);
    const all = (await events(broker.key)).body.data as {
      id: string;
      type: string;
      action: string;
      date_created: string;
    }[];
    expect(all).toHaveLength(7);
    const names = async (query: string) =>
      (await events(broker.key, query)).body.data.map(
        ({ type, action }: { type: string; action: string }) => `${type}.${action}`,
      );
    expect(await names("type=webhook_config")).toEqual(["webhook_config.test"]);
    expect(await names("action=created")).toEqual([
      "session.created",
      "session.created",
      "webhook-endpoint.created",
    ]);
    expect(await names("type=session&action=expired")).toEqual(["session.expired"]);
    expect(await names("type=sess")).toEqual([]);
    expect(await names("action=test&type=session")).toEqual([]);
    const date = all[0]?.date_created ?? "";
    const ids = async (query: string) =>
      (await events(broker.key, query)).body.data.map(({ id }: { id: string }) => id);
    expect(await ids(`date_created=${date}`)).toEqual(
      all.filter(({ date_created }) => date_created === date).map(({ id }) => id),
    );
    expect(await ids(`date_created[gt]=${date}`)).toEqual([]);
    expect(await ids(`date_created[lte]=${date}`)).toEqual(all.map(({ id }) => id));
    expect(await ids(`after_id=${all[1]?.id}&limit=2`)).toEqual([all[2]?.id, all[3]?.id]);
    expect(await ids(`before_id=${all[2]?.id}`)).toEqual([all[0]?.id, all[1]?.id]);
  });

  test("is filtered by the state of the deliveries", async () => {
    const broker = await newBroker();
    const hook = createMailbox(env.TEST_RECEIVER_URL);
    // The test, and then one event that arrives at the second attempt.
    await hook.answer(
      { kind: "status", status: 204 },
      { kind: "status", status: 500 },
      { kind: "status", status: 204 },
    );
    await call("POST", "/configs/webhook", { key: broker.key, body: { url: hook.url } });
    await hook.waitForRequests(1);
    await create(broker, { identifier: "jo+lost" });
    await hook.waitForRequests(3);
    const delivered = await eventually(async () => {
      const { body } = await events(broker.key, "state=delivered");
      if (body.data.length < 2) throw new Error("not recorded yet");
      return body.data;
    });
    expect(delivered).toMatchObject([
      { action: "created", state: "delivered", retries: 1, date_delivered: expect.any(String) },
      { action: "test", state: "delivered", retries: 0, date_delivered: expect.any(String) },
    ]);
    // The event of the endpoint's creation is for other endpoints, and there are none.
    expect((await events(broker.key, "state=pending")).body.data).toMatchObject([
      { type: "webhook-endpoint", action: "created" },
    ]);
    expect((await events(broker.key, "state=failed")).body.data).toEqual([]);
  });

  test.each(["state=lost", "colour=red", "date_created=now", "after_id=7", "date_expired=x"])(
    "is refused with %s",
    async (query) => {
      const { status, body } = await events((await newOrganisation()).key, query);
      expect(status).toBe(400);
      expect(body.error).toBe("invalid-parameter");
      expect(Object.keys(body.params)).toEqual([query.split("=")[0]]);
    },
  );
});
