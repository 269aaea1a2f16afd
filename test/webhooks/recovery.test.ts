/**
 * What did not arrive at an endpoint is sent again, all of it and each delivery once, whatever
 * fails meanwhile.
 */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { newEventId } from "../../src/events/event";
import { unattempted } from "../../src/journals/stored-delivery";
import { newDelivery } from "../../src/webhooks/delivery";
import { call, newOrganisation, type Tenant } from "../support/client";
import { d1Lost, withD1 } from "../support/d1";
import { type Endpoint, newEndpoint, patchEndpoint } from "../support/endpoints";
import { storeRecords } from "../support/journals";
import {
  consume,
  deliveryOf,
  deliveryRows,
  eventually,
  newEvent,
  newMailbox,
  newOwedToEndpoint,
} from "../support/pipeline";

afterEach(() => {
  vi.restoreAllMocks();
});

/** More than two pages of what a recovery looks at. */
const FAILED = 230;

/** An organisation with an endpoint that missed so many events, and another that missed as many. */
async function newOutage(count: number) {
  const tenant = await newOrganisation();
  const only = { event_types: ["connection.created"] };
  const endpoint = await newEndpoint(tenant, newMailbox(), only);
  const other = await newEndpoint(tenant, newMailbox(), only);
  const event = await newEvent(tenant, "session.active", null);
  const events = Array.from({ length: count }, () => ({ ...event, id: newEventId(Date.now()) }));
  const records = events.map((one) => ({
    event: one,
    deliveries: [endpoint, other].map(({ id, mailbox }) => ({
      ...unattempted(newDelivery(one, "standard", mailbox.url, id)),
      status: "failed" as const,
    })),
  }));
  await storeRecords(tenant.id, records);
  return { tenant, endpoint, other, ids: events.map(({ id }) => id) };
}

function recover(tenant: Tenant, { id }: Endpoint, body: object = { since: hourAgo() }) {
  return call("POST", `/v1/webhooks/endpoints/${id}:recover`, { key: tenant.key, body });
}

const hourAgo = () => new Date(Date.now() - 3_600_000).toISOString();

/** Resolves with the recovery once it is finished. */
function finished(tenant: Tenant, id: string) {
  return eventually(async () => {
    const { body } = await call("GET", `/v1/webhooks/recoveries/${id}`, { key: tenant.key });
    expect(body.status).toBe("finished");
    return body;
  });
}

async function idsSeen({ mailbox }: Endpoint): Promise<(string | undefined)[]> {
  return (await mailbox.requests()).map(({ headers }) => headers["webhook-id"]).toSorted();
}

test("a recovery sends page after page, to its endpoint alone, and shows its progress", async () => {
  const { tenant, endpoint, other, ids } = await newOutage(FAILED);
  const started = await recover(tenant, endpoint);
  expect(started.status).toBe(202);
  expect(started.body).toMatchObject({ endpoint_id: endpoint.id, resent: 0, finished_at: null });
  expect(await finished(tenant, started.body.id)).toMatchObject({ resent: FAILED });
  await endpoint.mailbox.waitForRequests(FAILED);
  expect(await idsSeen(endpoint)).toEqual(ids.toSorted());
  expect(await other.mailbox.requests()).toEqual([]);
  await eventually(async () => {
    const rows = await deliveryRows(tenant);
    const of = (id: string) =>
      new Set(rows.filter((row) => row.endpoint_id === id).map((row) => row.status));
    expect([of(endpoint.id), of(other.id)]).toEqual([new Set(["delivered"]), new Set(["failed"])]);
  });
});

test("a delivery that fails again in a recovery stays failed, and can be recovered again", async () => {
  const { tenant, endpoint } = await newOutage(3);
  await endpoint.mailbox.answer({ kind: "status", status: 500 });
  await finished(tenant, (await recover(tenant, endpoint)).body.id);
  await endpoint.mailbox.waitForRequests(3);
  await eventually(async () => {
    const rows = (await deliveryRows(tenant)).filter((row) => row.endpoint_id === endpoint.id);
    expect(rows.map(({ status, attempts }) => [status, attempts.length])).toEqual(
      Array(3).fill(["failed", 1]),
    );
  });
  await endpoint.mailbox.answer({ kind: "status", status: 204 });
  await finished(tenant, (await recover(tenant, endpoint)).body.id);
  await endpoint.mailbox.waitForRequests(6);
});

test("a recovery skips a test that failed, since the caller of the test has seen its answer", async () => {
  const { tenant, endpoint } = await newOutage(1);
  await endpoint.mailbox.answer({ kind: "status", status: 500 }, { kind: "status", status: 204 });
  await call("POST", `/v1/webhooks/endpoints/${endpoint.id}:test`, { key: tenant.key });
  const { body } = await recover(tenant, endpoint);
  expect(await finished(tenant, body.id)).toMatchObject({ resent: 1 });
});

test("an endpoint has one recovery at a time, and may have another when it is finished", async () => {
  const { tenant, endpoint } = await newOutage(1);
  const both = await Promise.all([recover(tenant, endpoint), recover(tenant, endpoint)]);
  const refused = both.filter(({ status }) => status === 409);
  expect(refused.length).toBeLessThanOrEqual(1);
  for (const { body } of refused) expect(body.code).toBe("recovery-running");
  for (const { status, body } of both) if (status === 202) await finished(tenant, body.id);
  expect((await recover(tenant, endpoint)).status).toBe(202);
});

test("a page of a recovery that is done twice at once goes on to the next page once", async () => {
  const { tenant, endpoint } = await newOutage(150);
  await endpoint.mailbox.answer({ kind: "status", status: 500 });
  const sent: unknown[] = [];
  const send = vi.spyOn(Object.getPrototypeOf(env.DELIVERIES), "send");
  const { body } = await recover(tenant, endpoint);
  const message = { v: 1, organisationId: tenant.id, recovery: body.id };
  await consume("drawbridge-deliveries", [message, message, message]);
  await finished(tenant, body.id);
  for (const [one] of send.mock.calls) if (JSON.stringify(one).includes(body.id)) sent.push(one);
  // The first message, and one after each full page: of 300 that failed, half are the other
  // endpoint's.
  expect(sent).toEqual(Array(4).fill(message));
});

test("a recovery ends when its endpoint is disabled meanwhile", async () => {
  const { tenant, endpoint } = await newOutage(1);
  const held = vi
    .spyOn(Object.getPrototypeOf(env.DELIVERIES), "send")
    .mockImplementation(() => Promise.resolve());
  const { body } = await recover(tenant, endpoint);
  held.mockRestore();
  await patchEndpoint(tenant, endpoint, { enabled: false });
  await consume("drawbridge-deliveries", [{ v: 1, organisationId: tenant.id, recovery: body.id }]);
  expect(await finished(tenant, body.id)).toMatchObject({ resent: 0 });
  expect(await endpoint.mailbox.requests()).toEqual([]);
});

test("a recovery whose messages ran out of retries has failed, and can be started again", async () => {
  const owed = await newOwedToEndpoint();
  const { tenant, endpoint } = owed;
  expect(await consume("drawbridge-dead-letters", [owed.message])).toMatchObject({
    acknowledged: [0],
  });
  expect(await deliveryOf(owed)).toMatchObject({ status: "failed", next_attempt_at: null });
  const { body } = await recover(tenant, endpoint);
  expect(await finished(tenant, body.id)).toMatchObject({ resent: 1 });
  await owed.mailbox.waitForRequests(1);
});

test("a message of a recovery that comes twice sends nothing twice", async () => {
  const { tenant, endpoint } = await newOutage(3);
  const { body } = await recover(tenant, endpoint);
  await finished(tenant, body.id);
  await eventually(async () => {
    const rows = (await deliveryRows(tenant)).filter((row) => row.endpoint_id === endpoint.id);
    expect(rows.every(({ status }) => status === "delivered")).toBe(true);
  });
  const again = { v: 1, organisationId: tenant.id, recovery: body.id };
  const rows = (await deliveryRows(tenant)).filter((row) => row.endpoint_id === endpoint.id);
  const resends = rows.map(({ id }) => ({
    v: 1,
    organisationId: tenant.id,
    id,
    resend: body.id,
  }));
  const result = await consume("drawbridge-deliveries", [again, ...resends]);
  expect(result).toMatchObject({ acknowledged: [0, 1, 2, 3], retried: [] });
  expect(await endpoint.mailbox.requests()).toHaveLength(3);
});

test("a page of a recovery comes again when D1 fails at its record, and each delivery is counted once", async () => {
  const { tenant, endpoint } = await newOutage(5);
  // What arrived meanwhile would not be found again.
  await endpoint.mailbox.answer({ kind: "status", status: 500 });
  let lost = 0;
  const { body } = await withD1(
    (sql) => {
      if (sql.startsWith("update") && sql.includes("webhook_recoveries") && ++lost === 1) d1Lost();
    },
    async () => {
      const started = await recover(tenant, endpoint);
      await endpoint.mailbox.waitForRequests(5);
      await eventually(async () => expect(lost).toBe(1));
      return started;
    },
  );
  // As the queue would, when its delay is over.
  await consume("drawbridge-deliveries", [{ v: 1, organisationId: tenant.id, recovery: body.id }]);
  expect(await finished(tenant, body.id)).toMatchObject({ resent: 5 });
  await eventually(async () => {
    const rows = (await deliveryRows(tenant)).filter((row) => row.endpoint_id === endpoint.id);
    expect(rows.every(({ attempts }) => attempts.length === 1)).toBe(true);
  });
});

test("no recovery begins when the queue refuses, and the caller is told to try again", async () => {
  const { tenant, endpoint } = await newOutage(1);
  const lost = vi
    .spyOn(Object.getPrototypeOf(env.DELIVERIES), "send")
    .mockRejectedValue(new Error("Queue is overloaded"));
  const refused = await recover(tenant, endpoint);
  lost.mockRestore();
  expect(refused.status).toBe(503);
  expect(refused.headers.get("Retry-After")).not.toBeNull();
  const { results } = await env.DB.prepare(
    "select id from webhook_recoveries where organisation_id = ?",
  )
    .bind(tenant.id)
    .all();
  expect(results).toEqual([]);
});
