/**
 * What a webhook costs in rows: none in D1, and in the journal one for its event and one for each attempt at
 * most.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newEventId } from "../../src/events/event";
import { unattempted } from "../../src/journals/stored-delivery";
import { newDelivery } from "../../src/webhooks/delivery";
import { newOrganisation, type Tenant } from "../support/client";
import { newEndpoint, patchEndpoint } from "../support/endpoints";
import { journals, journalsOf, storeRecords } from "../support/journals";
import {
  deliverWith,
  deliveryRows,
  eventually,
  newEvent,
  newMailbox,
  newOwedToEndpoint,
  owe,
  record,
} from "../support/pipeline";
import type { Behaviour } from "../support/receiver";
import { d1CallsOf, rowsOf, written } from "../support/rows";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const status = (code: number): Behaviour => ({ kind: "status", status: code });

/** Waits for the work after the calls of the set-up, which has rows of its own. */
async function settle(tenant: Tenant): Promise<void> {
  await eventually(async () => {
    const { results } = await env.DB.prepare(
      `select (select count(*) from owed_events where organisation_id = ?1)
        + (select count(*) from sessions where organisation_id = ?1 and announced < version)
        + 1 - (select min(count(*), 1) from sessions where organisation_id = ?1) as open`,
    )
      .bind(tenant.id)
      .all<{ open: number }>();
    expect(results).toEqual([{ open: 0 }]);
  });
}

async function settledOwed() {
  const owed = await newOwedToEndpoint();
  await settle(owed.tenant);
  return owed;
}

describe("an event", () => {
  test.each([
    [0, 1],
    [1, 1],
    [8, 1],
    [10, 2],
  ])("that %i endpoints want costs %i rows in its journal and none in D1", async (count, cost) => {
    const tenant = await newOrganisation();
    for (let i = 0; i < count; i++) {
      await newEndpoint(tenant, newMailbox(), { event_types: ["session.expired"] });
    }
    await newEndpoint(tenant, newMailbox(), { event_types: ["key.*"] });
    const event = await newEvent(tenant, "session.expired", null);
    await settle(tenant);
    // The queue takes none, so that only the rows of the events are counted, and not those of
    // attempts.
    const held = vi
      .spyOn(Object.getPrototypeOf(env.DELIVERIES), "sendBatch")
      .mockRejectedValue(new Error("Queue is overloaded"));
    // The endpoints have their numbers in the journal.
    await record({ ...event, id: newEventId(Date.now()) }).catch(() => undefined);
    const rows = await rowsOf(() => record(event).catch(() => undefined));
    held.mockRestore();
    expect(await deliveryRows(tenant)).toHaveLength(2 * count);
    expect(rows).toMatchObject({ d1Written: 0, objectWritten: cost });
  });
});

test("an event with one delivery that arrives makes one call of D1 in all, while its journal knows who listens", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const tenant = await newOrganisation();
  const only = { event_types: ["session.expired"] };
  const { mailbox } = await newEndpoint(tenant, newMailbox(), only);
  const event = await newEvent(tenant, "session.expired", null);
  const [key] = await journalsOf(tenant.id);
  if (!key) throw new Error("there is one");
  const arrives = async (one: typeof event) => {
    await record(one);
    await eventually(async () => {
      const [found] = await journals.call(key, (journal) => journal.find([one.id]));
      expect(found?.deliveries).toMatchObject([{ status: "delivered" }]);
    });
  };
  await arrives(event);
  await settle(tenant);
  const calls = await d1CallsOf(() => arrives({ ...event, id: newEventId(Date.now()) }));
  expect(calls).toHaveLength(1);
  expect(await mailbox.requests()).toHaveLength(2);
});

describe("an attempt", () => {
  test("costs one row in the journal when it arrives, and reads in D1 the organisation and the endpoint, at once", async () => {
    const { message } = await settledOwed();
    let statements: string[] = [];
    const rows = await rowsOf(async () => {
      statements = await d1CallsOf(() => deliverWith({}, [message]));
    });
    expect(rows).toMatchObject({ d1Written: 0, objectWritten: 1 });
    expect(rows.d1Read).toBeLessThanOrEqual(6);
    expect(statements).toHaveLength(1);
  });

  test("costs one row for each event of a batch, and one call of D1 for all", async () => {
    const { tenant, endpoint, message } = await settledOwed();
    const second = await owe(tenant, endpoint);
    const third = await owe(tenant, endpoint);
    await settle(tenant);
    const messages = [message, second.message, third.message];
    let statements: string[] = [];
    const rows = await rowsOf(async () => {
      statements = await d1CallsOf(() => deliverWith({}, messages));
    });
    expect(rows).toMatchObject({ d1Written: 0, objectWritten: 3 });
    // The organisation and the endpoint, once for all.
    expect(rows.d1Read).toBeLessThanOrEqual(6);
    expect(statements).toHaveLength(1);
  });

  test("costs one row together with others of the same event that end at the same time", async () => {
    const tenant = await newOrganisation();
    const only = { event_types: ["connection.created"] };
    const endpoints = [];
    for (let i = 0; i < 3; i++) endpoints.push(await newEndpoint(tenant, newMailbox(), only));
    const event = await newEvent(tenant, "session.active", null);
    const deliveries = endpoints.map(({ id, mailbox }) =>
      unattempted(newDelivery(event, "standard", mailbox.url, id)),
    );
    await storeRecords(tenant.id, [{ event, deliveries }]);
    await settle(tenant);
    const messages = deliveries.map(({ id }) => ({
      ...{ v: 1, organisationId: tenant.id, id, attempt: 1 },
    }));
    // They end at the same time, however busy the machine is: no timer says that one of them is late.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const rows = await rowsOf(() => deliverWith({}, messages));
    vi.useRealTimers();
    const statuses = (await deliveryRows(tenant)).map((row) => row.status);
    expect(statuses).toEqual(["delivered", "delivered", "delivered"]);
    expect(rows.d1Written).toBe(0);
    expect(rows.objectWritten).toBeLessThan(3);
  });

  test("costs one row in D1 for the first failure of an endpoint, and for the first success after it", async () => {
    const { tenant, endpoint, message, mailbox } = await settledOwed();
    const again = { webhookRetrySeconds: [1_000, 1_000] };
    await mailbox.answer(status(500), status(500), status(204));
    const costs = [];
    for (const attempt of [1, 2, 3]) {
      costs.push(await rowsOf(() => deliverWith(again, [{ ...message, attempt }])));
    }
    expect(costs.map((rows) => rows.d1Written)).toEqual([1, 0, 1]);
    expect(costs.map((rows) => rows.objectWritten)).toEqual([1, 1, 1]);
    const next = await owe(tenant, endpoint);
    await settle(tenant);
    expect(written(await rowsOf(() => deliverWith(again, [next.message])))).toBe(1);
  });

  test("costs one row more when it was the last and failed, by which it is found again", async () => {
    const { tenant, endpoint, message, mailbox } = await settledOwed();
    await mailbox.answer(status(500));
    const once = { webhookRetrySeconds: [] };
    await deliverWith(once, [message]);
    const next = await owe(tenant, endpoint);
    await settle(tenant);
    expect(written(await rowsOf(() => deliverWith(once, [next.message])))).toBe(2);
  });

  test("costs nothing when its message comes again", async () => {
    const { message } = await settledOwed();
    await deliverWith({}, [message]);
    expect(written(await rowsOf(() => deliverWith({}, [message])))).toBe(0);
  });

  test("costs as much as a last one that failed when its endpoint is disabled", async () => {
    const { tenant, endpoint, message } = await settledOwed();
    await patchEndpoint(tenant, endpoint, { enabled: false });
    await settle(tenant);
    expect(written(await rowsOf(() => deliverWith({}, [message])))).toBe(2);
  });
});
