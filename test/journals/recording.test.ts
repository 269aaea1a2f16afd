/**
 * Each event is recorded once and makes the deliveries that it owes, however often its journal is told,
 * and whatever fails.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type DomainEvent, newEventId } from "../../src/events/event";
import type { EventType } from "../../src/events/event-types";
import { JournalStore } from "../../src/journals/journal-store";
import { JournalObject } from "../../src/journals/object";
import { newOrganisation, type Tenant } from "../support/client";
import { stopClock } from "../support/clock";
import { d1Lost, withD1 } from "../support/d1";
import { newEndpoint, patchEndpoint } from "../support/endpoints";
import { journalStub, journals, journalsOf } from "../support/journals";
import { make, organisationWith } from "../support/made-records";
import {
  deliveryRows,
  eventRows,
  eventually,
  newEvent,
  newMailbox,
  record,
} from "../support/pipeline";
import { d1CallsOf, settled } from "../support/rows";
import { create } from "../support/sessions";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const isStored = async (tenant: Tenant, { id }: DomainEvent) =>
  (await eventRows(tenant)).some((row) => row.id === id);

async function evictJournals({ id }: Tenant): Promise<void> {
  for (const key of await journalsOf(id)) await evictDurableObject(journalStub(key));
}

const queueRefuses = () =>
  vi
    .spyOn(Object.getPrototypeOf(env.DELIVERIES), "sendBatch")
    .mockRejectedValue(new Error("Queue is overloaded"));

describe("an event", () => {
  test("of which its journal is told twice is recorded once, as it came first, and owes one delivery", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    await record(event, event);
    await record({ ...event, type: "session.expired" });
    const rows = (await eventRows(tenant)).filter(({ id }) => id === event.id);
    expect(rows).toMatchObject([{ type: "session.active", at: event.at }]);
    expect(JSON.parse(rows[0]?.data ?? "")).toEqual(event.data);
    expect(await deliveryRows(tenant)).toHaveLength(1);
  });

  test.each([false, true])(
    "of which its journal is told again after its delivery does not make it again (evicted meanwhile: %s)",
    async (evicted) => {
      const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
      const event = await newEvent(tenant, "session.expired", mailbox.url);
      await record(event);
      await eventually(async () => {
        const rows = await deliveryRows(tenant);
        expect(rows).toMatchObject([{ status: "delivered", attempt_count: 1 }]);
      });
      if (evicted) await evictJournals(tenant);
      const sent = vi.spyOn(Object.getPrototypeOf(env.DELIVERIES), "sendBatch");
      await record(event);
      expect(sent).not.toHaveBeenCalled();
      // A delivery after it on the same queue: when that one is done, a repeated one would be done too.
      const behind = await newEvent(tenant, "session.active", newMailbox().url);
      await record(behind);
      await eventually(async () => {
        const rows = await deliveryRows(tenant);
        expect(rows.map(({ status }) => status)).toEqual(["delivered", "delivered"]);
      });
      expect(await mailbox.requests()).toHaveLength(1);
    },
  );

  test.each<EventType>([
    "session.created",
    "session.user_authorized",
    "session.user_revoked",
    "device.removed",
  ])("%s is recorded and owed to no webhook_url", async (type) => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, type, mailbox.url);
    await record(event);
    expect(await isStored(tenant, event)).toBe(true);
    expect(await deliveryRows(tenant)).toEqual([]);
  });

  test("of a source session is owed to no relay's webhook_url", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    const session = { ...event.data.session, kind: "source" as const };
    await record({ ...event, data: { session } });
    expect(await deliveryRows(tenant)).toEqual([]);
  });
});

describe("an endpoint", () => {
  test("that is changed gets the next event as it is now, though the journal knew who listens", async () => {
    const tenant = await newOrganisation();
    const endpoint = await newEndpoint(tenant, newMailbox(), { event_types: ["session.expired"] });
    await record(await newEvent(tenant, "session.expired", null));
    await endpoint.mailbox.waitForRequests(1);
    await patchEndpoint(tenant, endpoint, { enabled: false });
    await record(await newEvent(tenant, "session.expired", null));
    const later = await newEndpoint(tenant, newMailbox(), { event_types: ["session.expired"] });
    await record(await newEvent(tenant, "session.expired", null));
    await later.mailbox.waitForRequests(1);
    const owed = (await deliveryRows(tenant)).map((row) => row.endpoint_id);
    expect(owed).toEqual([endpoint.id, later.id]);
  });
});

test("all journals of a day are told that an endpoint has changed", async () => {
  const tenant = await organisationWith(4);
  const only = { event_types: ["connection.created"] };
  const endpoint = await newEndpoint(tenant, newMailbox(), only);
  const some = () =>
    Array.from({ length: 40 }, () => make(tenant, Date.now(), "connection.created", []).event);
  await record(...some());
  expect(await journalsOf(tenant.id)).toHaveLength(4);
  expect(await deliveryRows(tenant)).toHaveLength(40);
  await patchEndpoint(tenant, endpoint, { enabled: false });
  await record(...some());
  expect(await deliveryRows(tenant)).toHaveLength(40);
});

test("a call that fails at its last event has stored nothing, and makes all of it when it comes again", async () => {
  const tenant = await newOrganisation();
  const { mailbox } = await newEndpoint(tenant, newMailbox(), {
    event_types: ["connection.created"],
  });
  // In a journal of yesterday, which has neither tables nor a receiver yet.
  const yesterday = Date.now() - 86_400_000;
  const events = [0, 1].map(() => make(tenant, yesterday, "connection.created", []).event);
  const add = JournalStore.prototype.add;
  let calls = 0;
  vi.spyOn(JournalStore.prototype, "add").mockImplementation(function (
    this: JournalStore,
    ...args
  ) {
    const isNew = add.apply(this, args);
    if (++calls === 2) throw new Error("the disk is full");
    return isNew;
  });
  const ofEvents = async () =>
    (await eventRows(tenant)).filter(({ type }) => type === "connection.created");
  await expect(record(...events)).rejects.toThrow("the disk is full");
  expect(await ofEvents()).toEqual([]);
  await record(...events);
  await mailbox.waitForRequests(2);
  await evictJournals(tenant);
  expect(await ofEvents()).toHaveLength(2);
  expect((await deliveryRows(tenant)).map(({ url }) => url)).toEqual([mailbox.url, mailbox.url]);
});

test("many calls at once make one read of who listens, and one entry of the journal", async () => {
  const [tenant, other] = [await newOrganisation(), await newOrganisation()];
  const events = Array.from({ length: 20 }, () => ({
    ...{
      id: newEventId(Date.now()),
      organisationId: tenant.id,
      type: "connection.created" as const,
    },
    ...{ at: Date.now(), data: { connection: { connectionId: "a", memo: "" } } },
  }));
  // This isolate knows how many journals there are.
  await journals.journalOf(tenant.id, newEventId(Date.now()));
  await settled();
  const calls = await d1CallsOf(() => Promise.all(events.map((event) => record(event))));
  expect(calls).toHaveLength(2);
  expect(await eventRows(tenant)).toHaveLength(20);
  expect(await eventRows(other)).toEqual([]);
});

describe("an event, when D1 fails", () => {
  test("waits where it is owed, and nothing of it is recorded", async () => {
    const tenant = await newOrganisation();
    const event = await newEvent(tenant, "session.active", null);
    await evictJournals(tenant);
    await expect(withD1(d1Lost, () => record(event))).rejects.toThrow();
    expect(await isStored(tenant, event)).toBe(false);
    await record(event);
    expect(await isStored(tenant, event)).toBe(true);
  });

  test("under a real session, is recorded later, and the webhook still comes", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    let failures = 0;
    await withD1(
      (sql) => {
        if (sql.includes('into "journals"') && ++failures <= 2) d1Lost();
      },
      async () => {
        await create(tenant.key, { webhook_url: mailbox.url });
        await mailbox.waitForRequests(1);
      },
    );
    expect(failures).toBeGreaterThan(2);
    expect(await eventRows(tenant)).toMatchObject([{ type: "session.active" }]);
  }, 300_000);
});

describe("a journal that dies between its commit and the queue of deliveries", () => {
  test("has recorded the event, and sends the message when it is told again", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    const refused = queueRefuses();
    await expect(record(event)).rejects.toThrow();
    refused.mockRestore();
    expect(await isStored(tenant, event)).toBe(true);
    expect(await mailbox.requests()).toEqual([]);
    await evictJournals(tenant);
    await record(event);
    await mailbox.waitForRequests(1);
    expect(await deliveryRows(tenant)).toHaveLength(1);
  });

  test("of which the queue has taken 100 messages sends only the others when it is told again", async () => {
    // Each fifth of a second, one more of them would go to the first queue.
    stopClock();
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    const events = Array.from({ length: 150 }, () => ({ ...event, id: newEventId(event.at) }));
    const prototype: Queue = Object.getPrototypeOf(env.DELIVERIES);
    const works = prototype.sendBatch;
    const sizes: number[] = [];
    const sent = vi.spyOn(prototype, "sendBatch").mockImplementation(function (this: Queue, some) {
      const messages = [...some];
      sizes.push(messages.length);
      if (sizes.length === 2) throw new Error("Queue is overloaded");
      return works.call(this, messages);
    });
    await expect(record(...events)).rejects.toThrow();
    await record(...events);
    sent.mockRestore();
    expect(sizes).toEqual([100, 50, 50]);
  });

  test("under a real session, is told again by the session's object", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const refused = queueRefuses();
    await create(tenant.key, { webhook_url: mailbox.url });
    refused.mockRestore();
    await mailbox.waitForRequests(1);
    await eventually(async () => {
      expect(await deliveryRows(tenant)).toMatchObject([{ status: "delivered" }]);
    });
  });
});

test("a journal that cannot be reached keeps no other organisation's events waiting", async () => {
  const [broken, fine] = [await newOrganisation(), await newOrganisation()];
  const [lost, kept] = [
    await newEvent(broken, "session.active", null),
    await newEvent(fine, "session.active", null),
  ];
  const works = JournalObject.prototype.record;
  vi.spyOn(JournalObject.prototype, "record").mockImplementation(function (
    this: JournalObject,
    events,
  ) {
    if (events.some(({ organisationId }) => organisationId === broken.id))
      throw new Error("broken");
    return works.call(this, events);
  });
  const result = await journals.recordEach([lost, kept]);
  expect(result.recorded.map(({ id }) => id)).toEqual([kept.id]);
  expect(result.failures).toHaveLength(1);
  expect([await isStored(broken, lost), await isStored(fine, kept)]).toEqual([false, true]);
});
