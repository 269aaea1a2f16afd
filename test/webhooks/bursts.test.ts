/** What one organisation has to send in a burst does not stand before the deliveries of others. */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { newEventId } from "../../src/events/event";
import { call, newOrganisation } from "../support/client";
import { newEndpoint } from "../support/endpoints";
import {
  consume,
  deliveryOf,
  newEvent,
  newMailbox,
  newOwed,
  newOwedToEndpoint,
  record,
} from "../support/pipeline";

afterEach(() => {
  vi.restoreAllMocks();
});

const EVENTS = 1_000;
/** How many events are recorded in one call. */
const AT_ONCE = 200;
/**
 * How many of the burst have arrived when the other delivery arrives: about 100 stand before it, and the other
 * queue makes as many meanwhile. On one queue it would be all of them.
 */
const MOST_BEFORE = 700;

const only = { event_types: ["session.active"] };

/** The bindings of the queues on which something was put while this was done. */
async function queuesUsed(method: "send" | "sendBatch", work: () => Promise<unknown>) {
  const spy = vi.spyOn(Object.getPrototypeOf(env.DELIVERIES), method);
  await work();
  const queues = { DELIVERIES: env.DELIVERIES, BULK_DELIVERIES: env.BULK_DELIVERIES };
  return spy.mock.contexts.map((queue) =>
    Object.keys(queues).find((name) => queues[name as keyof typeof queues] === queue),
  );
}

test("a delivery of another organisation arrives before a burst is over, of which each arrives once", async () => {
  const [busy, other] = [await newOrganisation(), await newOrganisation()];
  const event = await newEvent(busy, "session.active", null);
  const otherEvent = await newEvent(other, "session.active", null);
  const burst = await newEndpoint(busy, newMailbox(), only);
  const one = await newEndpoint(other, newMailbox(), only);

  const ids = Array.from({ length: EVENTS }, () => newEventId(Date.now()));
  for (let i = 0; i < EVENTS; i += AT_ONCE) {
    await record(...ids.slice(i, i + AT_ONCE).map((id) => ({ ...event, id })));
  }
  await record(otherEvent);
  await one.mailbox.waitForRequests(1);
  expect((await burst.mailbox.requests()).length).toBeLessThan(MOST_BEFORE);

  const all = await burst.mailbox.waitForRequests(EVENTS, 120_000);
  expect(all.map(({ headers }) => headers["webhook-id"]).toSorted()).toEqual(ids.toSorted());
}, 180_000);

test.each([
  ["drawbridge-deliveries", "DELIVERIES"],
  ["drawbridge-bulk-deliveries", "BULK_DELIVERIES"],
] as const)("the attempt after one of %s goes to the same queue", async (queue, binding) => {
  const owed = await newOwed();
  await owed.mailbox.answer({ kind: "status", status: 500 });
  expect(await queuesUsed("send", () => consume(queue, [owed.message]))).toEqual([binding]);
  expect(await deliveryOf(owed)).toMatchObject({ status: "pending", attempt_count: 1 });
});

test("a recovery goes to the queue of bursts", async () => {
  const { tenant, endpoint } = await newOwedToEndpoint();
  const window = { since: "2026-01-01T00:00:00Z", until: "2026-01-02T00:00:00Z" };
  const used = await queuesUsed("send", () =>
    call("POST", `/v1/webhooks/endpoints/${endpoint.id}:recover`, {
      key: tenant.key,
      body: window,
    }),
  );
  expect(used).toEqual(["BULK_DELIVERIES"]);
});
