/**
 * A recovery also sends what still waits for its schedule, and each delivery once: never beside an
 * attempt of the schedule, and the schedule does not send it again later.
 */
import { expect, test } from "vitest";
import { call, newOrganisation } from "../support/client";
import type { Endpoint } from "../support/endpoints";
import { changeDeliveries } from "../support/journals";
import {
  consume,
  deliveryOf,
  deliveryRows,
  eventually,
  newOwedToEndpoint,
  type Owed,
  owe,
} from "../support/pipeline";
import { insertDeliveries } from "../support/sweepable-rows";
import { endpointWith, storeDelivery } from "../support/webhooks";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
type OwedTo = Owed & { endpoint: Endpoint };

/**
 * Leaves a delivery as one whose first attempt failed, and whose second is due in so many
 * milliseconds.
 */
async function waitFor(owed: Owed, dueInMs: number): Promise<number> {
  const at = Date.now() + dueInMs;
  const attempt = { at: 1, durationMs: 1, statusCode: 500, response: "", error: null };
  await changeDeliveries(owed.tenant.id, (delivery) =>
    delivery.id === owed.message.id
      ? { ...delivery, attempts: [attempt], nextAttemptAt: at }
      : null,
  );
  return at;
}

/** The message that asks for the schedule's second attempt. */
const second = ({ message }: Owed) => ({ ...message, attempt: 2 });

/** The message with which a recovery asks for one delivery. */
const recovered = ({ tenant, message }: Owed) => ({
  ...{ v: 1, organisationId: tenant.id, id: message.id },
  ...{ resend: "whr_1", unlessUnderWay: true },
});

/** Recovers the last days, and resolves with the recovery when it is finished. */
async function recover({ tenant, endpoint }: OwedTo) {
  const since = new Date(Date.now() - 10 * DAY_MS).toISOString();
  const path = `/v1/webhooks/endpoints/${endpoint.id}:recover`;
  const { body: started } = await call("POST", path, { key: tenant.key, body: { since } });
  return eventually(async () => {
    const at = `/v1/webhooks/recoveries/${started.id}`;
    const { body } = await call("GET", at, { key: tenant.key });
    expect(body.status).toBe("finished");
    return body;
  });
}

test("a recovery sends now what is due in hours, and the schedule does not send it again", async () => {
  const owed = await newOwedToEndpoint();
  const more = [await owe(owed.tenant, owed.endpoint), await owe(owed.tenant, owed.endpoint)];
  for (const one of [owed, ...more]) await waitFor(one, 5 * HOUR_MS);
  expect(await recover(owed)).toMatchObject({ resent: 3 });
  await owed.mailbox.waitForRequests(3);
  await eventually(async () => {
    for (const row of await deliveryRows(owed.tenant)) {
      expect(row).toMatchObject({ status: "delivered", next_attempt_at: null });
    }
  });
  const scheduled = [owed, ...more].map(second);
  expect(await consume("drawbridge-deliveries", scheduled)).toMatchObject({
    acknowledged: [0, 1, 2],
  });
  expect(await owed.mailbox.requests()).toHaveLength(3);
});

test("a delivery that fails in a recovery goes on by its schedule", async () => {
  const owed = await newOwedToEndpoint();
  const due = await waitFor(owed, 5 * HOUR_MS);
  await owed.mailbox.answer({ kind: "status", status: 500 }, { kind: "status", status: 204 });
  await recover(owed);
  await eventually(async () => {
    expect(await deliveryOf(owed)).toMatchObject({
      ...{ status: "pending", attempt_count: 1, next_attempt_at: due },
      attempts: [{ statusCode: 500 }, { statusCode: 500, resend: expect.any(String) }],
    });
  });
  await consume("drawbridge-deliveries", [second(owed)]);
  expect(await deliveryOf(owed)).toMatchObject({ status: "delivered" });
});

test.each([
  ["is due in a moment", 20_000],
  ["is being made", -10_000],
])(
  "a recovery waits for an attempt of the schedule that %s, and then makes none of its own",
  async (_, dueIn) => {
    const owed = await newOwedToEndpoint();
    await waitFor(owed, dueIn);
    const both = [recovered(owed), second(owed)];
    const first = await consume("drawbridge-deliveries", both);
    expect(first).toEqual({ acknowledged: [1], retried: [{ index: 0, delaySeconds: 30 }] });
    const again = await consume("drawbridge-deliveries", [recovered(owed)]);
    expect(again).toEqual({ acknowledged: [0], retried: [] });
    expect(await owed.mailbox.requests()).toHaveLength(1);
  },
);

test("a recovery makes its own attempt after one of the schedule that failed meanwhile", async () => {
  const owed = await newOwedToEndpoint();
  await waitFor(owed, -10_000);
  expect((await consume("drawbridge-deliveries", [recovered(owed)])).retried).toHaveLength(1);
  await waitFor(owed, 5 * HOUR_MS);
  await consume("drawbridge-deliveries", [recovered(owed)]);
  expect(await deliveryOf(owed)).toMatchObject({ status: "delivered" });
  expect(await owed.mailbox.requests()).toHaveLength(1);
});

test("a recovery sends a delivery whose schedule has lost its message", async () => {
  const owed = await newOwedToEndpoint();
  await waitFor(owed, -HOUR_MS);
  await recover(owed);
  await owed.mailbox.waitForRequests(1);
});

test("a recovery leaves a first attempt that nobody has made yet to its own message", async () => {
  const owed = await newOwedToEndpoint();
  expect(await recover(owed)).toMatchObject({ resent: 0 });
  expect(await owed.mailbox.requests()).toEqual([]);
});

test("one recovery sends what was given up days ago and what has waited since today", async () => {
  const tenant = await newOrganisation();
  const endpoint = await endpointWith(tenant, { event_types: ["connection.created"] });
  for (const days of [5, 4, 0.01]) {
    await storeDelivery(tenant, endpoint, "failed", Date.now() - days * DAY_MS);
  }
  const owed = { ...(await owe(tenant, endpoint)), endpoint };
  await waitFor(owed, 5 * HOUR_MS);
  expect(await recover(owed)).toMatchObject({ resent: 4 });
  await endpoint.mailbox.waitForRequests(4);
});

test("a recovery finds what waits behind more deliveries than one page looks at", async () => {
  const owed = await newOwedToEndpoint();
  await waitFor(owed, 5 * HOUR_MS);
  // Older than what waits, and all of them arrived.
  await insertDeliveries(owed.tenant.id, 5_001, Date.now() - HOUR_MS);
  expect(await recover(owed)).toMatchObject({ resent: 1 });
  await owed.mailbox.waitForRequests(1);
});
