/** What an endpoint is sent, how it can be tested, and how deliveries are read. */
import { describe, expect, test } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { newKey, patchKey } from "../../support/keys";
import { eventually, type newMailbox, verified } from "../../support/pipeline";
import {
  DELIVERIES,
  deliveriesOf,
  ENDPOINTS,
  endpointWith,
  pagesOf,
  registerConnection,
  settled,
  storeDelivery,
} from "../../support/webhooks";

const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const NOTHING_LISTENS = "http://127.0.0.1:1/hook";

const tryOut = (tenant: Tenant, path: string) => call("POST", `${path}:test`, { key: tenant.key });

describe("the event types of an endpoint", () => {
  test("decide what it gets: by name, by the beginning of a name, several, or all", async () => {
    const tenant = await newOrganisation();
    const wishes: [event_types: string[] | undefined, hears: string[]][] = [
      [["key.updated"], ["key.updated"]],
      [["key.*"], ["key.created", "key.updated"]],
      [
        ["connection.created", "key.created"],
        ["connection.created", "key.created"],
      ],
      [["device.*", "session.*"], []],
      [undefined, ["connection.created", "key.created", "key.updated"]],
    ];
    const endpoints = await Promise.all(
      wishes.map(([event_types]) => endpointWith(tenant, event_types ? { event_types } : {})),
    );
    // The events of the endpoints themselves are not the subject here.
    await eventually(async () => {
      const told = await deliveriesOf(tenant, "event_type=webhook-endpoint.*&limit=100");
      expect(told.every(({ status }) => status === "delivered")).toBe(true);
    });
    await registerConnection(tenant, "c-1");
    const { id } = await newKey(tenant);
    await patchKey(tenant, id, { name: "Renamed" });
    await eventually(async () => {
      expect((await deliveriesOf(tenant, "event_type=key.updated")).length).toBe(3);
      const owed = await deliveriesOf(tenant, "limit=100&status=pending");
      expect(owed).toEqual([]);
    });
    for (const [i, [, hears]] of wishes.entries()) {
      const requests = (await endpoints[i]?.mailbox.requests()) ?? [];
      const types = requests.map((request) => verified(request, endpoints[i]?.secret ?? "").type);
      const heard = types.filter((type) => !type.startsWith("webhook-endpoint."));
      expect(heard.toSorted(), `${wishes[i]?.[0]}`).toEqual(hears);
    }
  });

  test("can change, and from then on decide what it gets", async () => {
    const tenant = await newOrganisation();
    const { path, mailbox } = await endpointWith(tenant, { event_types: ["key.*"] });
    await call("PATCH", path, { key: tenant.key, body: { event_types: ["connection.*"] } });
    await newKey(tenant);
    await registerConnection(tenant, "heard");
    await settled(tenant, "");
    const requests = await mailbox.requests();
    expect(requests.map(({ body }) => JSON.parse(body).type)).toEqual(["connection.created"]);
  });
});

test("a webhook is a type, a time and data with a version, posted as JSON under the event's id", async () => {
  const tenant = await newOrganisation();
  const endpoint = await endpointWith(tenant, { event_types: ["key.*"] });
  const { id } = await newKey(tenant, { name: "Told" });
  const [created] = await endpoint.mailbox.waitForRequests(1);
  const body = verified(created, endpoint.secret);
  expect(Object.keys(body)).toEqual(["type", "timestamp", "data"]);
  expect(body).toMatchObject({ type: "key.created", timestamp: at });
  expect(body.data).toMatchObject({ id, name: "Told", version: expect.any(Number) });
  expect(created).toMatchObject({
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "Drawbridge" },
  });
  await patchKey(tenant, id, { name: "Retold" });
  const [, updated] = await endpoint.mailbox.waitForRequests(2);
  const { data } = verified(updated, endpoint.secret);
  expect(data.version).toBeGreaterThan(body.data.version);
  const { body: page } = await call("GET", "/v1/events?type=key.created", { key: tenant.key });
  const stored = page.data.find((event: { data: { id: number } }) => event.data.id === id);
  expect(stored).toEqual({ id: created?.headers["webhook-id"], ...body });
});

describe("testing an endpoint", () => {
  test.each<[string, Parameters<ReturnType<typeof newMailbox>["answer"]>[0], object, string]>([
    [
      "accepts",
      { kind: "status", status: 202, body: "thanks" },
      { status_code: 202, response: "thanks", error: null },
      "delivered",
    ],
    [
      "fails",
      { kind: "status", status: 500, body: "oh no" },
      { status_code: 500, response: "oh no", error: null },
      "failed",
    ],
    [
      "refuses",
      { kind: "status", status: 401, body: "who?" },
      { status_code: 401, response: "who?", error: null },
      "failed",
    ],
    [
      "redirects",
      { kind: "redirect", to: NOTHING_LISTENS },
      { status_code: 302, error: null },
      "failed",
    ],
    [
      "breaks the connection",
      { kind: "reset" },
      { status_code: null, response: null, error: expect.stringMatching(/./) },
      "failed",
    ],
    [
      "accepts, and breaks off in the middle of its answer",
      { kind: "cut", body: "than" },
      { status_code: 200, response: "than", error: null },
      "delivered",
    ],
  ])("whose receiver %s is answered with the attempt, which is recorded", async (...row) => {
    const [, behaviour, outcome, status] = row;
    const tenant = await newOrganisation();
    const { id, path, mailbox, secret } = await endpointWith(tenant);
    await mailbox.answer(behaviour);
    const answer = await tryOut(tenant, path);
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body).toSorted()).toEqual(
      ["at", "duration_ms", "error", "response", "status_code"].toSorted(),
    );
    expect(answer.body).toMatchObject({ at, duration_ms: expect.any(Number), ...outcome });
    const [request, ...more] = await mailbox.requests();
    expect(more).toEqual([]);
    const posted = verified(request, secret);
    expect(posted).toMatchObject({ type: "webhook-endpoint.test", data: { id, version: 1 } });
    const deliveries = await deliveriesOf(tenant, `endpoint=${id}`);
    expect(deliveries).toEqual([
      {
        id: expect.stringMatching(/^whd_[0-9a-f]{32}_[0-9a-f]{12}$/),
        endpoint_id: id,
        event_id: request?.headers["webhook-id"],
        event_type: "webhook-endpoint.test",
        url: mailbox.url,
        status,
        attempts: [answer.body],
        next_attempt_at: null,
      },
    ]);
  });

  test("without a receiver is answered with the reason", async () => {
    const tenant = await newOrganisation();
    const { id, path } = await endpointWith(tenant, { url: NOTHING_LISTENS });
    const { status, body } = await tryOut(tenant, path);
    expect([status, body.status_code, body.response]).toEqual([200, null, null]);
    expect(body.error).toMatch(/./);
    expect(await deliveriesOf(tenant, `endpoint=${id}`)).toMatchObject([{ status: "failed" }]);
  });

  test("sends to no other endpoint, and does not count as its failure", async () => {
    const tenant = await newOrganisation();
    const other = await endpointWith(tenant, { event_types: ["webhook-endpoint.test"] });
    const { path, mailbox } = await endpointWith(tenant, { event_types: ["key.*"] });
    await mailbox.answer({ kind: "status", status: 410 });
    await tryOut(tenant, path);
    const { body } = await call("GET", path, { key: tenant.key });
    expect(body).toMatchObject({ enabled: true, failing_since: null, disabled_reason: null });
    expect((await deliveriesOf(tenant)).map(({ event_type }) => event_type)).toEqual([
      "webhook-endpoint.test",
    ]);
    expect(await other.mailbox.requests()).toEqual([]);
  });

  test("sets whether a webhook config is valid", async () => {
    const tenant = await newOrganisation();
    const { id, path, mailbox } = await endpointWith(tenant, { format: "ricloud", enabled: false });
    const state = async () =>
      (await call("GET", `/configs/webhook/${id}`, { key: tenant.key })).body.state;
    await call("PATCH", path, { key: tenant.key, body: { enabled: true } });
    await mailbox.answer({ kind: "status", status: 500 }, { kind: "status", status: 200 });
    await tryOut(tenant, path);
    expect(await state()).toBe("invalid");
    await tryOut(tenant, path);
    expect(await state()).toBe("valid");
  });

  test("is possible while it is disabled, so that it can be enabled safely", async () => {
    const tenant = await newOrganisation();
    const { path, mailbox } = await endpointWith(tenant, { enabled: false });
    expect((await tryOut(tenant, path)).body).toMatchObject({ status_code: 204 });
    expect(await mailbox.requests()).toHaveLength(1);
  });
});

describe("a delivery", () => {
  test("shows every attempt, oldest first, and when the next one is", async () => {
    const tenant = await newOrganisation();
    const { id, mailbox } = await endpointWith(tenant, { event_types: ["connection.*"] });
    await mailbox.answer(
      { kind: "status", status: 503, body: "busy" },
      { kind: "reset" },
      { kind: "status", status: 200, body: "now" },
    );
    await registerConnection(tenant, "tried");
    const first = await eventually(async () => {
      const [delivery] = await deliveriesOf(tenant, `endpoint=${id}`);
      expect(delivery.attempts).not.toEqual([]);
      return delivery;
    });
    expect(first).toMatchObject({ attempts: [{ status_code: 503, response: "busy" }] });
    if (first.attempts.length === 1) {
      expect(first).toMatchObject({ status: "pending", next_attempt_at: at });
      expect(first.next_attempt_at > first.attempts[0].at).toBe(true);
    }
    const last = await settled(tenant, `endpoint=${id}`);
    expect(last).toMatchObject({
      attempts: [
        { at, duration_ms: expect.any(Number), status_code: 503, response: "busy", error: null },
        { status_code: null, response: null, error: expect.stringMatching(/./) },
        { status_code: 200, response: "now", error: null },
      ],
      next_attempt_at: null,
    });
    const times = last.attempts.map((attempt: { at: string }) => attempt.at);
    expect(times).toEqual(times.toSorted());
    const one = await call("GET", `${DELIVERIES}/${last.id}`, { key: tenant.key });
    expect([one.status, one.body]).toEqual([200, last]);
  });

  test.each([
    ["plain text", "x".repeat(200_000), "x".repeat(1_024)],
    ["text that is just as long as is kept", "y".repeat(1_024), "y".repeat(1_024)],
    ["letters of several bytes", "é".repeat(5_000), "é".repeat(512)],
    ["quotes and controls", '"\\\u0000\n'.repeat(1_000), '"\\\u0000\n'.repeat(256)],
  ])("keeps the first 1 KB of a long answer: %s", async (_, body, kept) => {
    const tenant = await newOrganisation();
    const { path, id, mailbox } = await endpointWith(tenant);
    await mailbox.answer({ kind: "status", status: 200, body });
    const { body: attempt } = await tryOut(tenant, path);
    expect(attempt.response).toBe(kept);
    expect(await deliveriesOf(tenant, `endpoint=${id}`)).toMatchObject([{ attempts: [attempt] }]);
  });

  test.each([`whd_${"0".repeat(32)}_${"0".repeat(12)}`, "whd_1"])(
    "is not found under an id that never existed, such as %s",
    async (id) => {
      const { key } = await newOrganisation();
      const { status, body } = await call("GET", `${DELIVERIES}/${id}`, { key });
      expect([status, body.code]).toEqual([404, "delivery-not-found"]);
    },
  );
});

describe("the list of deliveries", () => {
  test("is filtered by endpoint, event_type and status, alone and together, with paging", async () => {
    const tenant = await newOrganisation();
    const [a, b] = [await endpointWith(tenant), await endpointWith(tenant, { enabled: false })];
    const stored: { id: string; endpoint: string; status: string }[] = [];
    const base = Date.now() - 1_000_000;
    const statuses = ["pending", "delivered", "failed", "discarded", "failed", "delivered"];
    for (const [i, status] of [...statuses, ...statuses].entries()) {
      const endpoint = i % 3 === 0 ? b : a;
      const id = await storeDelivery(tenant, endpoint, status as "failed", base + i * 1_000);
      stored.unshift({ id, endpoint: endpoint.id, status });
    }
    const wanted = (test: (delivery: (typeof stored)[number]) => boolean) =>
      stored.filter(test).map(({ id }) => id);
    const ids = async (query: string) =>
      (await pagesOf(tenant, `${DELIVERIES}?limit=2&event_type=connection.*&${query}`))
        .flat()
        .map(({ id }) => id);
    for (const status of ["pending", "delivered", "failed", "discarded"]) {
      expect(await ids(`status=${status}`)).toEqual(wanted((it) => it.status === status));
      for (const { id } of [a, b]) {
        expect(await ids(`status=${status}&endpoint=${id}`), status).toEqual(
          wanted((it) => it.status === status && it.endpoint === id),
        );
      }
    }
    expect(await ids(`endpoint=${a.id}`)).toEqual(wanted(({ endpoint }) => endpoint === a.id));
    expect(await ids("")).toEqual(wanted(() => true));
    const exact = await deliveriesOf(tenant, "limit=100&event_type=connection.created");
    expect(exact.map(({ id }) => id)).toEqual(wanted(() => true));
    expect(await deliveriesOf(tenant, "event_type=connection.deleted")).toEqual([]);
    expect(await deliveriesOf(tenant, "endpoint=whe_nobody&status=failed")).toEqual([]);
  });

  test.each([
    "status=done",
    "event_type=nothing.happened",
    "event=01A21576-9B07-799E-BDD0-52ED60DBC868",
    "limit=0",
    "limit=101",
    "cursor=whe_1",
    "endpiont=x",
  ])("is refused with %s, and the error names the parameter", async (query) => {
    const { key } = await newOrganisation();
    const { status, body } = await call("GET", `${DELIVERIES}?${query}`, { key });
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([{ path: query.split("=")[0] }]);
  });

  test("shows nothing of another organisation, also for its endpoint's id", async () => {
    const [owner, other] = [await newOrganisation(), await newOrganisation()];
    const { id, path } = await endpointWith(owner);
    await tryOut(owner, path);
    const [delivery] = await deliveriesOf(owner, `endpoint=${id}`);
    expect(await deliveriesOf(other)).toEqual([]);
    expect(await deliveriesOf(other, `endpoint=${id}`)).toEqual([]);
    expect(await deliveriesOf(other, `cursor=${delivery.id}`)).toEqual([]);
    const never = `whd_${"0".repeat(32)}_${"0".repeat(12)}`;
    const ask = (name: string) =>
      call("GET", `${DELIVERIES}/${name}`, { key: other.key, headers: { "X-Request-Id": "same" } });
    const [theirs, none] = [await ask(delivery.id), await ask(never)];
    expect(theirs.status).toBe(404);
    expect(theirs.text).toBe(none.text.replaceAll(never, delivery.id));
    expect((await call("GET", `${ENDPOINTS}/${id}`, { key: other.key })).status).toBe(404);
  });
});
