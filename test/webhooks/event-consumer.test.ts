/**
 * Each event is recorded once and makes the deliveries that it owes, whatever the queue repeats and
 * whatever fails.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { DomainEvent } from "../../src/events/event";
import type { EventType } from "../../src/events/event-types";
import { newOrganisation, type Tenant } from "../support/client";
import { d1Lost, withD1 } from "../support/d1";
import { newEndpoint } from "../support/endpoints";
import {
  consume,
  consumeEventsWith,
  deadLetters,
  deliveryRows,
  eventRows,
  eventually,
  newEvent,
  newMailbox,
} from "../support/pipeline";
import { create } from "../support/sessions";

afterEach(() => {
  vi.restoreAllMocks();
});

const QUEUE = "drawbridge-events";
const store = (...events: DomainEvent[]) =>
  consume(
    QUEUE,
    events.map((event) => ({ v: 1, event })),
  );
const isStored = async (tenant: Tenant, { id }: DomainEvent) =>
  (await eventRows(tenant)).some((row) => row.id === id);

describe("an event", () => {
  test("that comes twice is recorded once, as it came first, and owes one delivery", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    expect(await store(event, event)).toEqual({ acknowledged: [0, 1], retried: [] });
    expect(await store({ ...event, type: "session.expired" })).toMatchObject({ acknowledged: [0] });
    const rows = (await eventRows(tenant)).filter(({ id }) => id === event.id);
    expect(rows).toMatchObject([{ type: "session.active", at: event.at }]);
    expect(JSON.parse(rows[0]?.data ?? "")).toEqual(event.data);
    expect(await deliveryRows(tenant)).toHaveLength(1);
  });

  test("that comes again after its delivery does not make it again", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.expired", mailbox.url);
    await store(event);
    const isDelivered = async () => {
      expect(await deliveryRows(tenant)).toMatchObject([{ status: "delivered", attempt_count: 1 }]);
    };
    await eventually(isDelivered);
    await store(event);
    // A delivery after it on the same queue: when that one is done, a repeated one would be done
    // too.
    const behind = await newEvent(tenant, "session.active", newMailbox().url);
    await store(behind);
    await eventually(async () => {
      const rows = await deliveryRows(tenant);
      expect(rows.map(({ status }) => status)).toEqual(["delivered", "delivered"]);
    });
    expect(await mailbox.requests()).toHaveLength(1);
  });

  test.each<EventType>([
    "session.created",
    "session.user_authorized",
    "session.user_revoked",
    "device.removed",
  ])("%s is recorded and owed to no webhook_url", async (type) => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, type, mailbox.url);
    await store(event);
    expect(await isStored(tenant, event)).toBe(true);
    expect(await deliveryRows(tenant)).toEqual([]);
  });

  test("of a source session is owed to no relay's webhook_url", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    const session = { ...event.data.session, kind: "source" as const };
    await store({ ...event, data: { session } });
    expect(await deliveryRows(tenant)).toEqual([]);
  });
});

describe("a message on the events queue that cannot be read", () => {
  test("is acknowledged and kept, and the events around it are stored", async () => {
    const tenant = await newOrganisation();
    const [before, after] = [
      await newEvent(tenant, "session.active", null),
      await newEvent(tenant, "session.active", null),
    ];
    const marker = crypto.randomUUID();
    const bad = { v: 9, marker };
    const result = await consume(QUEUE, [{ v: 1, event: before }, bad, { v: 1, event: after }]);
    expect(result.retried).toEqual([]);
    expect(await isStored(tenant, before)).toBe(true);
    expect(await isStored(tenant, after)).toBe(true);
    expect(await deadLetters(marker)).toEqual([
      expect.objectContaining({ queue: QUEUE, body: JSON.stringify(bad) }),
    ]);
    expect(result.acknowledged).toEqual([0, 1, 2]);
  });

  test("is kept whole also when it is very long, so that it can be sent again", async () => {
    const marker = crypto.randomUUID();
    const body = { marker, more: "x".repeat(50_000) };
    await consume(QUEUE, [body]);
    const [letter] = await deadLetters(marker);
    expect(letter?.body).toBe(JSON.stringify(body));
  });

  test("ends as a dead letter on the real queue", async () => {
    const marker = crypto.randomUUID();
    await env.EVENTS.send({ marker } as never);
    await eventually(async () => {
      expect(await deadLetters(marker)).toMatchObject([{ queue: QUEUE }]);
    });
  });

  test("comes back later, alone, when D1 fails and it cannot be kept", async () => {
    const tenant = await newOrganisation();
    const event = await newEvent(tenant, "session.active", null);
    const result = await withD1(
      (sql) => void (sql.includes('"dead_letters"') && d1Lost()),
      () => consume(QUEUE, [{ nonsense: true }, { v: 1, event }]),
    );
    expect(result).toEqual({
      acknowledged: [1],
      retried: [{ index: 0, delaySeconds: expect.any(Number) }],
    });
    expect(await isStored(tenant, event)).toBe(true);
  });
});

describe("a batch of events, when D1 fails", () => {
  const isEvents = (sql: string) => sql.includes('insert into "events"');

  test("for all of it, comes back after a while, and no event is lost", async () => {
    const tenant = await newOrganisation();
    const events = [
      await newEvent(tenant, "session.active", null),
      await newEvent(tenant, "session.expired", null),
    ];
    const failed = await withD1(d1Lost, () => store(...events));
    expect(failed).toEqual({
      acknowledged: [],
      retried: [
        { index: 0, delaySeconds: 10 },
        { index: 1, delaySeconds: 10 },
      ],
    });
    expect(await store(...events)).toEqual({ acknowledged: [0, 1], retried: [] });
    for (const event of events) expect(await isStored(tenant, event)).toBe(true);
  });

  test("in the middle of it, comes back from there, and the rest is stored", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const events = [
      await newEvent(tenant, "session.active", mailbox.url),
      await newEvent(tenant, "session.failed", mailbox.url),
      await newEvent(tenant, "session.expired", mailbox.url),
    ];
    let inserts = 0;
    const failed = await withD1(
      (sql) => {
        if (!isEvents(sql)) return;
        inserts += 1;
        // The batch as a whole, and then the second event alone.
        if (inserts === 1 || inserts === 3) d1Lost();
      },
      () => store(...events),
    );
    expect(failed).toEqual({ acknowledged: [0, 2], retried: [{ index: 1, delaySeconds: 10 }] });
    const again = events.slice(1, 2);
    expect(await store(...again)).toEqual({ acknowledged: [0], retried: [] });
    await eventually(async () => {
      const rows = await deliveryRows(tenant);
      expect(rows.map(({ status }) => status)).toEqual(Array(3).fill("delivered"));
    });
    const ids = (await mailbox.requests()).map(({ headers }) => headers["webhook-id"]);
    expect(ids.toSorted()).toEqual(events.map(({ id }) => id).toSorted());
  });

  test("under a real session, is stored later, and the webhook still comes", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    let inserts = 0;
    await withD1(
      (sql) => {
        if (isEvents(sql) && ++inserts <= 2) d1Lost();
      },
      async () => {
        await create(tenant.key, { webhook_url: mailbox.url });
        await mailbox.waitForRequests(1);
      },
    );
    expect(inserts).toBeGreaterThan(2);
    expect(await eventRows(tenant)).toMatchObject([{ type: "session.active" }]);
  }, 300_000);
});

describe("an event, when the deliveries queue refuses,", () => {
  test("comes back, and its delivery is made then", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.active", mailbox.url);
    const lost = vi
      .spyOn(Object.getPrototypeOf(env.DELIVERIES), "sendBatch")
      .mockRejectedValue(new Error("Queue is overloaded"));
    const failed = await store(event);
    lost.mockRestore();
    expect(failed).toEqual({ acknowledged: [], retried: [{ index: 0, delaySeconds: 10 }] });
    expect(await mailbox.requests()).toEqual([]);
    expect(await store(event)).toEqual({ acknowledged: [0], retried: [] });
    await mailbox.waitForRequests(1);
    expect(await deliveryRows(tenant)).toHaveLength(1);
  });
});

test("work that an event starts elsewhere and that fails does not delay its webhooks", async () => {
  const tenant = await newOrganisation();
  const endpoint = await newEndpoint(tenant, newMailbox(), { event_types: ["session.expired"] });
  const event = await newEvent(tenant, "session.expired", null);
  const failed = await consumeEventsWith(
    () => Promise.reject(new Error("an object is out of reach")),
    event,
  );
  expect(failed.retried).toMatchObject([{ index: 0 }]);
  await endpoint.mailbox.waitForRequests(1);
});
