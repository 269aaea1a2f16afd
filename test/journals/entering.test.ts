/** A journal that holds something is entered in D1, also after D1 or the object lost what it knew. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { JournalObject } from "../../src/journals/object";
import { readConfig } from "../../src/platform/config";
import { dropJournals } from "../../src/sweep/sweep-journals";
import { newOrganisation, type Tenant } from "../support/client";
import { withD1Answers } from "../support/d1";
import { inJournal, journalStub, journals, journalsOf, recordedIn } from "../support/journals";
import { record } from "../support/pipeline";

afterEach(() => {
  vi.restoreAllMocks();
});

const db = openDatabase(env);

function newEvent({ id: organisationId }: Tenant): DomainEvent {
  const [at, data] = [Date.now(), { connection: { connectionId: "a", memo: "" } }];
  return { id: newEventId(at), organisationId, type: "connection.created", at, data };
}

/** An organisation with one event in one journal. */
async function withJournal() {
  const tenant = await newOrganisation();
  const event = newEvent(tenant);
  await record(event);
  const [key] = await journalsOf(tenant.id);
  if (!key) throw new Error("there is one");
  return { tenant, event, key };
}

const drop = (keys: Parameters<typeof dropJournals>[1]) =>
  dropJournals(
    { db, config: readConfig(env), events: { journals } as never, now: Date.now() },
    keys,
  );

test("a journal that a restore of D1 has lost is entered again with the first event after the object woke", async () => {
  const { tenant, event, key } = await withJournal();
  await env.DB.prepare("delete from journals where organisation_id = ?").bind(tenant.id).run();
  await evictDurableObject(journalStub(key));
  const later = newEvent(tenant);
  await record(later);
  expect(await journalsOf(tenant.id)).toEqual([key]);
  const ids = (await recordedIn(tenant.id)).map((one) => one.event.id);
  expect(ids).toEqual([event.id, later.id].toSorted());
});

test("an event that comes while its journal is dropped leaves nothing that nobody knows of", async () => {
  const { tenant, key } = await withJournal();
  const original = JournalObject.prototype.drop;
  let comes = true;
  vi.spyOn(JournalObject.prototype, "drop").mockImplementation(async function (
    this: JournalObject,
  ) {
    await original.call(this);
    if (comes) await this.record([newEvent(tenant)]);
    comes = false;
  });
  await drop([key]);
  expect(await journalsOf(tenant.id)).toEqual([]);
  expect(await inJournal(key, (store) => store.exists)).toBe(false);
});

test("an object that fails when it is dropped once more is found by the next run", async () => {
  const { tenant, key } = await withJournal();
  const original = JournalObject.prototype.drop;
  let drops = 0;
  vi.spyOn(JournalObject.prototype, "drop").mockImplementation(async function (
    this: JournalObject,
  ) {
    drops++;
    if (drops > 1) throw new Error("its storage fails");
    await original.call(this);
    await this.record([newEvent(tenant)]);
  });
  await drop([key]);
  expect(drops).toBeGreaterThan(1);
  expect(await inJournal(key, (store) => store.exists)).toBe(true);
  expect(await journalsOf(tenant.id)).toEqual([key]);
  vi.restoreAllMocks();
  await drop(await journalsOf(tenant.id));
  expect(await inJournal(key, (store) => store.exists)).toBe(false);
  expect(await journalsOf(tenant.id)).toEqual([]);
});

test("a journal that was dropped is entered again before its next event", async () => {
  const { tenant, key } = await withJournal();
  await drop([key]);
  await record(newEvent(tenant));
  expect(await journalsOf(tenant.id)).toEqual([key]);
  expect(await recordedIn(tenant.id)).toHaveLength(1);
});

test("an event that waits for D1 while its journal is dropped enters the journal once more", async () => {
  const { tenant, key } = await withJournal();
  // The object has entered itself, and does not know it any more.
  await evictDurableObject(journalStub(key));
  let comes = true;
  const isDropped = async (sql: string) => {
    if (!comes || !/insert into "journals"/.test(sql)) return;
    comes = false;
    await drop([key]);
  };
  await withD1Answers(isDropped, () => record(newEvent(tenant)));
  expect(comes).toBe(false);
  expect(await recordedIn(tenant.id)).toHaveLength(1);
  expect(await journalsOf(tenant.id)).toEqual([key]);
});
