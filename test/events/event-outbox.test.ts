/**
 * An event of a change in D1 is stored with the change, and is recorded in its journal however often that
 * has failed.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { sql } from "drizzle-orm";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { openOutbox } from "../../src/devices/event-outbox";
import type { DomainEvent } from "../../src/events/event";
import { EventOutbox } from "../../src/events/event-outbox";
import { JournalObject } from "../../src/journals/object";
import { keyEvents } from "../../src/keys/manage-keys";
import { newOrganisation } from "../support/client";
import { d1Lost, withD1 } from "../support/d1";
import { eventually } from "../support/eventually";
import { journalUnreachable, withJournals } from "../support/faults";
import { journals, recordedIn, warmJournal } from "../support/journals";
import { keyEventTypes, newKey, patchKey } from "../support/keys";
import { rowsOf } from "../support/rows";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const db = openDatabase(env);
const newOutbox = () => openOutbox(env, createExecutionContext(), db);

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

const afterAMinute = () => ({ now: Date.now() + 61_000, page: { after: null, limit: 100 } });

/** Has the outbox record what is owed for more than a minute. */
const sweep = ({ now, page } = afterAMinute()) => newOutbox().sweep(now, page);

describe("an event of a change in D1", () => {
  test("is stored with the change, recorded in its journal, and then no longer owed", async () => {
    const tenant = await newOrganisation();
    const key = await newKey(tenant);
    await eventually(async () => expect(await owed(tenant.id)).toBe(0));
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created"]);
    const [recorded] = await recordedIn(tenant.id);
    expect(recorded?.event).toMatchObject({
      organisationId: tenant.id,
      type: "key.created",
      data: { key: { id: key.id, version: 1, name: "Key" } },
    });
  });

  test("outlasts a journal that cannot be reached: the change stands, and the sweep records the event once", async () => {
    const tenant = await newOrganisation();
    const key = await withJournals(journalUnreachable, async () => {
      const made = await newKey(tenant);
      expect((await patchKey(tenant, made.id, { name: "Renamed" })).status).toBe(200);
      return made;
    });
    await eventually(async () => expect(await owed(tenant.id)).toBe(2));
    await sweep({ ...afterAMinute(), now: Date.now() });
    expect(await owed(tenant.id), "left to the request for a minute").toBe(2);
    await sweep();
    expect(await owed(tenant.id)).toBe(0);
    expect(await keyEventTypes(tenant.id, key.id)).toEqual(["key.created", "key.updated"]);
  });

  test("waits while its own journal cannot be reached, and holds up no other organisation's", async () => {
    const [broken, fine] = [await newOrganisation(), await newOrganisation()];
    const outbox = newOutbox();
    // More than a page of the one that fails stands before the other.
    for (let i = 0; i < 5; i++) await db.batch(outbox.insertion(eventsOf(broken.id)));
    await db.batch(outbox.insertion(eventsOf(fine.id, Date.now() + 1)));
    const record = JournalObject.prototype.record;
    vi.spyOn(JournalObject.prototype, "record").mockImplementation(function (
      this: JournalObject,
      events,
    ) {
      if (events.some(({ organisationId }) => organisationId === broken.id)) journalUnreachable();
      return record.call(this, events);
    });
    const now = Date.now() + 61_000;
    let after = await outbox.sweep(now, { after: null, limit: 2 });
    while (after !== null) after = await outbox.sweep(now, { after, limit: 2 });
    expect([await owed(broken.id), await owed(fine.id)]).toEqual([5, 0]);
    vi.restoreAllMocks();
    await sweep();
    expect(await owed(broken.id)).toBe(0);
    expect(await recordedIn(broken.id)).toHaveLength(5);
  });

  test("that is recorded and cannot be taken from the outbox is told again, and stays one", async () => {
    const tenant = await newOrganisation();
    let refused = 0;
    await withD1(
      (sql) => {
        if (!sql.includes('delete from "owed_events"')) return;
        refused += 1;
        d1Lost();
      },
      async () => {
        await newKey(tenant);
        await eventually(() => expect(refused).toBe(1));
      },
    );
    expect(await recordedIn(tenant.id)).toHaveLength(1);
    expect(await owed(tenant.id)).toBe(1);
    await sweep();
    expect([await owed(tenant.id), (await recordedIn(tenant.id)).length]).toEqual([0, 1]);
  });

  test("stays owed until what follows from it is done, and is recorded once", async () => {
    const tenant = await newOrganisation();
    const [event] = eventsOf(tenant.id);
    if (!event) throw new Error("there is one");
    let fails = true;
    const followUp = async () => {
      if (fails) throw new Error("an object is out of reach");
    };
    const ctx = createExecutionContext();
    const outbox = new EventOutbox({ db, journals, ctx, followUp });
    await db.batch(outbox.insertion([event]));
    await outbox.sweep(afterAMinute().now, afterAMinute().page);
    expect([await owed(tenant.id), (await recordedIn(tenant.id)).length]).toEqual([1, 1]);
    fails = false;
    await outbox.sweep(afterAMinute().now, afterAMinute().page);
    expect([await owed(tenant.id), (await recordedIn(tenant.id)).length]).toEqual([0, 1]);
  });

  test("is not owed when the condition of its change does not hold", async () => {
    const tenant = await newOrganisation();
    await db.batch(newOutbox().insertion(eventsOf(tenant.id), sql`1 = 2`));
    expect(await owed(tenant.id)).toBe(0);
  });

  test("is stored once when it is written twice", async () => {
    const tenant = await newOrganisation();
    const events = eventsOf(tenant.id);
    const outbox = newOutbox();
    await db.batch(outbox.insertion(events));
    await db.batch(outbox.insertion(events));
    expect(await owed(tenant.id)).toBe(1);
  });

  test("costs two rows in D1: the event, and its removal; and one in its journal", async () => {
    const tenant = await newOrganisation();
    await warmJournal(tenant.id);
    await sweep();
    const stored = await rowsOf(() => db.batch(newOutbox().insertion(eventsOf(tenant.id))));
    expect(stored).toMatchObject({ d1Written: 1, objectWritten: 0 });
    const swept = await rowsOf(() => sweep());
    expect(swept).toMatchObject({ d1Written: 1, objectWritten: 1 });
  });
});
