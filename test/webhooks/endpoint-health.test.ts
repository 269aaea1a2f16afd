/**
 * When an endpoint is disabled: at once by a 410, and after five days in which nothing has arrived.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, type Tenant } from "../support/client";
import { advance, stopClockAhead } from "../support/clock";
import { newGate, withD1 } from "../support/d1";
import { type Endpoint, newEndpoint, patchEndpoint, readEndpoint } from "../support/endpoints";
import {
  deliverWith,
  deliveryRows,
  eventRows,
  newMailbox,
  newOwedToEndpoint,
  owe,
  verified,
} from "../support/pipeline";
import type { Behaviour } from "../support/receiver";

afterEach(() => {
  vi.useRealTimers();
});

const DAY = 86_400;
const status = (code: number): Behaviour => ({ kind: "status", status: code });
/** An attempt that is the last of its delivery. */
const ONCE = { webhookRetrySeconds: [] };

async function disabledEvents(tenant: Tenant) {
  const rows = await eventRows(tenant);
  return rows.filter(({ type }) => type === "webhook-endpoint.disabled");
}

/** One more event for the endpoint, and the answer to its only attempt. */
async function answers(tenant: Tenant, endpoint: Endpoint, behaviour: Behaviour) {
  await endpoint.mailbox.answer(behaviour);
  const { message } = await owe(tenant, endpoint);
  await deliverWith(ONCE, [message]);
}

describe("an endpoint whose receiver answers 410", () => {
  test("is disabled at once, the other endpoints are told, and one call enables it again", async () => {
    const owed = await newOwedToEndpoint();
    const { tenant, endpoint } = owed;
    const other = await newEndpoint(tenant, newMailbox(), { event_types: ["webhook-endpoint.*"] });
    await endpoint.mailbox.answer(status(410));
    await deliverWith({}, [owed.message]);
    expect((await deliveryRows(tenant)).find(({ id }) => id === owed.message.id)).toMatchObject({
      status: "failed",
      next_attempt_at: null,
      attempts: [{ statusCode: 410 }],
    });
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({
      enabled: false,
      disabled_reason: "gone",
    });
    const [notice] = await other.mailbox.waitForRequests(1);
    expect(verified(notice, other.secret)).toMatchObject({
      type: "webhook-endpoint.disabled",
      data: { id: endpoint.id, enabled: false, disabled_reason: "gone", version: 2 },
    });
    expect((await patchEndpoint(tenant, endpoint, { enabled: true })).body).toMatchObject({
      enabled: true,
      disabled_reason: null,
    });
  });

  test("to a test is not disabled, since the caller of the test sees the answer", async () => {
    const { tenant, endpoint } = await newOwedToEndpoint();
    await endpoint.mailbox.answer(status(410));
    const path = `/v1/webhooks/endpoints/${endpoint.id}:test`;
    expect((await call("POST", path, { key: tenant.key })).body).toMatchObject({
      status_code: 410,
    });
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({
      ...{ enabled: true, disabled_reason: null, failing_since: null, version: 1 },
    });
  });

  test("to two deliveries at once is disabled once", async () => {
    const owed = await newOwedToEndpoint();
    const { tenant, endpoint } = owed;
    await endpoint.mailbox.answer(status(410));
    const second = await owe(tenant, endpoint);
    await deliverWith({}, [owed.message, second.message]);
    expect(await disabledEvents(tenant)).toHaveLength(1);
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ version: 2 });
  });

  test("gets nothing more of what is still owed, which is discarded and says why", async () => {
    const owed = await newOwedToEndpoint();
    const second = await owe(owed.tenant, owed.endpoint);
    await owed.mailbox.answer(status(410), status(204));
    await deliverWith({}, [owed.message]);
    await deliverWith({}, [second.message]);
    expect(await owed.mailbox.requests()).toHaveLength(1);
    expect(
      (await deliveryRows(owed.tenant)).find(({ id }) => id === second.message.id),
    ).toMatchObject({
      status: "discarded",
      attempts: [{ statusCode: null, error: "the webhook endpoint is disabled" }],
    });
  });
});

describe("an answer from an endpoint's old address", () => {
  /** What its old address answers while it gets a new one. */
  async function moved(behaviour: Behaviour) {
    const { tenant, endpoint, message } = await newOwedToEndpoint();
    await endpoint.mailbox.answer({ ...behaviour, held: true } as Behaviour);
    const work = deliverWith(ONCE, [message]);
    await endpoint.mailbox.waitForRequests(1);
    const change = { url: newMailbox().url };
    expect((await patchEndpoint(tenant, endpoint, change)).body).toMatchObject(change);
    await endpoint.mailbox.release();
    await work;
    return readEndpoint(tenant, endpoint);
  }

  test.each([410, 500])("does not count against its new one: %i", async (code) => {
    expect(await moved(status(code))).toMatchObject({
      enabled: true,
      disabled_reason: null,
      failing_since: null,
    });
  });
});

test("an endpoint with a new address starts without a record of failures", async () => {
  const { tenant, endpoint } = await newOwedToEndpoint();
  await answers(tenant, endpoint, status(500));
  expect(await readEndpoint(tenant, endpoint)).toMatchObject({ failing_since: expect.any(String) });
  const { body } = await patchEndpoint(tenant, endpoint, { url: newMailbox().url });
  expect(body).toMatchObject({ failing_since: null });
});

describe("an endpoint whose every delivery fails", () => {
  test("is disabled after five days and not before, and the other endpoints are told", async () => {
    stopClockAhead();
    const { tenant, endpoint } = await newOwedToEndpoint();
    const other = await newEndpoint(tenant, newMailbox(), {
      event_types: ["webhook-endpoint.disabled"],
    });
    await answers(tenant, endpoint, status(500));
    const failingSince = new Date().toISOString();
    advance(5 * DAY - 1);
    await answers(tenant, endpoint, { kind: "reset" });
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({
      enabled: true,
      failing_since: failingSince,
    });
    advance(1);
    await answers(tenant, endpoint, status(302));
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({
      enabled: false,
      disabled_reason: "failing",
      failing_since: failingSince,
    });
    expect(await disabledEvents(tenant)).toHaveLength(1);
    await other.mailbox.waitForRequests(1);
  });

  test("starts its five days again with each success", async () => {
    stopClockAhead();
    const { tenant, endpoint } = await newOwedToEndpoint();
    await answers(tenant, endpoint, status(500));
    advance(4 * DAY);
    await answers(tenant, endpoint, status(204));
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ failing_since: null });
    advance(2 * DAY);
    await answers(tenant, endpoint, status(500));
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ enabled: true });
  });

  test("starts its five days again when it is enabled", async () => {
    stopClockAhead();
    const { tenant, endpoint } = await newOwedToEndpoint();
    await answers(tenant, endpoint, status(500));
    advance(6 * DAY);
    await answers(tenant, endpoint, status(500));
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ enabled: false });
    await patchEndpoint(tenant, endpoint, { enabled: true });
    await answers(tenant, endpoint, status(500));
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ enabled: true });
  });

  test("is not disabled by an attempt that has others after it, since one bad moment is no five days", async () => {
    stopClockAhead();
    const { tenant, endpoint } = await newOwedToEndpoint();
    await answers(tenant, endpoint, status(500));
    advance(30 * DAY);
    const { message } = await owe(tenant, endpoint);
    await deliverWith({ webhookRetrySeconds: [1_000] }, [message]);
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ enabled: true });
  });

  test("is not disabled by a test that fails", async () => {
    stopClockAhead();
    const { tenant, endpoint } = await newOwedToEndpoint();
    await answers(tenant, endpoint, status(500));
    advance(6 * DAY);
    const tried = await call("POST", `/v1/webhooks/endpoints/${endpoint.id}:test`, {
      key: tenant.key,
    });
    expect(tried.body).toMatchObject({ status_code: 500 });
    expect(await readEndpoint(tenant, endpoint)).toMatchObject({ enabled: true });
  });
});

test("a success in between keeps an endpoint from being disabled", async () => {
  stopClockAhead();
  const { tenant, endpoint } = await newOwedToEndpoint();
  await answers(tenant, endpoint, status(500));
  advance(6 * DAY);
  await endpoint.mailbox.answer({ kind: "status", status: 500, held: true });
  const failing = await owe(tenant, endpoint);
  const result = async () =>
    (await deliveryRows(tenant)).find(({ id }) => id === failing.message.id);
  const work = deliverWith(ONCE, [failing.message]);
  await endpoint.mailbox.waitForRequests(2);
  await answers(tenant, endpoint, status(204));
  await endpoint.mailbox.release();
  await work;
  expect(await result()).toMatchObject({ status: "failed" });
  expect(await readEndpoint(tenant, endpoint)).toMatchObject({ enabled: true });
});

test("a success at the moment at which an endpoint is being disabled keeps it enabled", async () => {
  stopClockAhead();
  const { tenant, endpoint } = await newOwedToEndpoint();
  await answers(tenant, endpoint, status(500));
  advance(6 * DAY);
  const [failing, arriving] = [await owe(tenant, endpoint), await owe(tenant, endpoint)];
  await endpoint.mailbox.answer(status(500), status(204));
  const gate = newGate();
  const isDisabling = (sql: string) =>
    sql.includes("webhook_endpoints") && sql.includes('"enabled"');
  await withD1(
    (sql) => (isDisabling(sql) && sql.includes("update") ? gate.wait() : undefined),
    async () => {
      const work = deliverWith(ONCE, [failing.message]);
      await gate.reached;
      await deliverWith(ONCE, [arriving.message]);
      gate.open();
      await work;
    },
  );
  expect(await readEndpoint(tenant, endpoint)).toMatchObject({
    enabled: true,
    failing_since: null,
  });
});
