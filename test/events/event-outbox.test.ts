/**
 * An event of a change in D1 is stored with the change, and is sent however often sending has
 * failed.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { sql } from "drizzle-orm";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { EventOutbox } from "../../src/events/event-outbox";
import { keyEvents } from "../../src/keys/manage-keys";
import { parseEventMessage } from "../../src/webhooks/event-catalogue";
import { newOrganisation } from "../support/client";
import { eventually } from "../support/eventually";
import { keyEventTypes, newKey, patchKey } from "../support/keys";
import { rowsOf } from "../support/rows";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const db = openDatabase(env);
const newOutbox = () => new EventOutbox(db, env.EVENTS, createExecutionContext());

function eventsOf(organisationId: number, at = Date.now()): DomainEvent[] {
  const facts = {
    id: 7,
    version: 1,
    name: "Key",
    permissions: [],
    emails: [],
    labels: [],
    ipAllowlist: [],
    dnsName: null,
    blocked: false,
    createdAt: at,
    updatedAt: null,
    expiresAt: null,
  };
  return keyEvents(["key.created"], facts, [organisationId], at);
}

const owed = async (organisationId: number) =>
  (
    await env.DB.prepare("select count(*) as n from owed_events where organisation_id = ?")
      .bind(organisationId)
      .first<{ n: number }>()
  )?.n;

/** Makes the queue refuse until the test ends, and records what is sent to it. */
function spyQueue(refuse: boolean) {
  const queue = Object.getPrototypeOf(env.EVENTS) as Queue;
  const sendBatch = queue.sendBatch;
  return vi.spyOn(queue, "sendBatch").mockImplementation(function (this: Queue, messages) {
    if (refuse) return Promise.reject(new Error("the queue is down"));
    return sendBatch.call(this, messages);
  });
}

describe("an event of a change in D1", () => {
  test("is recorded with the change, sent, and then no longer owed to the queue", async () => {
    const sent = spyQueue(false);
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created"]);
    await eventually(async () => expect(await owed(tenant.id)).toBe(0));
    const messages = sent.mock.calls.flatMap(([batch]) => [...batch]);
    expect(messages).toHaveLength(1);
    const parsed = parseEventMessage(messages[0]?.body);
    expect(parsed?.event).toMatchObject({
      organisationId: tenant.id,
      type: "key.created",
      data: { key: { id: key.id, version: 1, name: "Key" } },
    });
  });

  test("outlasts a queue that refuses: the change stands, and the sweep sends the event once", async () => {
    const refusing = spyQueue(true);
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    expect((await patchKey(tenant, key.id, { name: "Renamed" })).status).toBe(200);
    await eventually(() => expect(refusing).toHaveBeenCalledTimes(2));
    expect(await owed(tenant.id)).toBe(2);
    refusing.mockRestore();
    const sent = spyQueue(false);
    const now = Date.now();
    await newOutbox().sweep(now, 100);
    expect(await owed(tenant.id), "left to the sender for a minute").toBe(2);
    await newOutbox().sweep(now + 61_000, 100);
    expect(await owed(tenant.id)).toBe(0);
    const types = sent.mock.calls
      .flatMap(([batch]) => [...batch].map(({ body }) => (body as { event: DomainEvent }).event))
      .filter((event) => event.organisationId === tenant.id)
      .map(({ type }) => type);
    expect(types).toEqual(["key.created", "key.updated"]);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created", "key.updated"]);
  });

  test("is forgotten when its organisation is gone", async () => {
    const id = newEventId(Date.now());
    await env.DB.prepare("insert into owed_events values (?, ?)").bind(id, 999_999).run();
    await newOutbox().sweep(Date.now() + 61_000, 100);
    expect(await owed(999_999)).toBe(0);
  });

  test("is neither recorded nor owed when the condition of its change does not hold", async () => {
    const tenant = await newOrganisation();
    await db.batch(newOutbox().insertion(eventsOf(tenant.id), sql`1 = 2`) as never);
    expect(await owed(tenant.id)).toBe(0);
    const { results } = await env.DB.prepare("select id from events where organisation_id = ?")
      .bind(tenant.id)
      .all();
    expect(results).toEqual([]);
  });

  test("is stored once when it is written twice", async () => {
    const tenant = await newOrganisation();
    const events = eventsOf(tenant.id);
    const outbox = newOutbox();
    await db.batch(outbox.insertion(events) as never);
    await db.batch(outbox.insertion(events) as never);
    expect(await owed(tenant.id)).toBe(1);
  });

  test("costs three rows: the event, the note that it is owed, and the removal of that note", async () => {
    const tenant = await newOrganisation();
    const outbox = newOutbox();
    await outbox.sweep(Date.now() + 61_000, 100);
    const events = eventsOf(tenant.id);
    const stored = await rowsOf(() => db.batch(outbox.insertion(events) as never));
    expect(stored.d1Written).toBe(2);
    const swept = await rowsOf(() => outbox.sweep(Date.now() + 61_000, 100));
    expect(swept.d1Written).toBe(1);
  });
});

describe("a message on the events queue", () => {
  const event = { id: newEventId(1), organisationId: 1, type: "key.created", at: 1 };
  test.each([
    ["of a key", { key: { id: 1, version: 1 } }, true],
    ["of a session", { session: { id: "s", version: 1 } }, true],
    ["of both", { key: { id: 1, version: 1 }, session: { id: "s", version: 1 } }, false],
    ["of neither", {}, false],
    ["of a key without version", { key: { id: 1 } }, false],
  ])(
    "%s is read only when it is about exactly one thing that the Worker knows",
    (_, data, known) => {
      expect(parseEventMessage({ v: 1, event: { ...event, data } }) !== null).toBe(known);
    },
  );
});
