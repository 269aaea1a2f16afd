/**
 * Journals as tests see them: all that an organisation's journals hold, and records that are put there
 * directly: more of them, or older ones, than a test could make by calls.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { openDatabase } from "../../src/db/open";
import type { RecordedEvent, StoredDelivery } from "../../src/events/delivery-record";
import type { DomainEvent } from "../../src/events/event";
import { JournalClient } from "../../src/events/journal-client";
import { dayAt, type JournalKey, journalName } from "../../src/events/journal-key";
import { listJournals, registerJournal } from "../../src/events/journal-registry";
import { JournalStore } from "../../src/journals/journal-store";
import type { JournalObject } from "../../src/journals/object";
import { eventually } from "./eventually";

export type JournalStub = DurableObjectStub<JournalObject>;

export const journals = new JournalClient(env);

const ALL = {
  below: null,
  above: null,
  since: null,
  until: null,
  pattern: null,
  subject: null,
  action: null,
  state: null,
  limit: 1_000_000,
  mostRows: 1_000_000,
} as const;

export function journalStub(key: JournalKey): JournalStub {
  return env.JOURNALS.getByName(journalName(key));
}

/** The journals of an organisation that D1 knows, newest first. */
export function journalsOf(organisationId: number): Promise<JournalKey[]> {
  return listJournals(openDatabase(env), organisationId, { from: null, until: null }, 1_000);
}

/** All that an organisation's journals hold, oldest first. */
export async function recordedIn(organisationId: number): Promise<RecordedEvent[]> {
  const keys = await journalsOf(organisationId);
  const pages = await Promise.all(
    keys.map((key) =>
      journals.call(key, async (journal) => {
        const { rows } = await journal.listEvents(ALL);
        return journal.find(rows.map(({ id }) => id));
      }),
    ),
  );
  return pages.flat().sort((a, b) => (a.event.id < b.event.id ? -1 : 1));
}

/** As `recordedIn`, once no event of a change in D1 is owed any more. */
export async function settledIn(organisationId: number): Promise<RecordedEvent[]> {
  await eventually(async () => {
    const owed = await env.DB.prepare(
      "select count(*) n from owed_events where organisation_id = ?",
    )
      .bind(organisationId)
      .first("n");
    if (owed !== 0) throw new Error(`${owed} events are still owed`);
  });
  return recordedIn(organisationId);
}

/** Works on a journal's own tables, as nothing but its object does otherwise. */
export async function inJournal<T>(key: JournalKey, work: (store: JournalStore) => T): Promise<T> {
  const stub = journalStub(key);
  const result = await runInDurableObject(stub, (_, { storage }) =>
    storage.transactionSync(() => work(new JournalStore(storage.sql, key.organisationId))),
  );
  // What the object remembers of its tables is read again.
  await evictDurableObject(stub);
  return result;
}

/** Which of these journals' objects hold something, whether or not D1 knows of them. */
export async function holding(keys: readonly JournalKey[]): Promise<JournalKey[]> {
  const held = await Promise.all(keys.map((key) => inJournal(key, (store) => store.exists)));
  return keys.filter((_, i) => held[i]);
}

/** Puts records into the journals that they belong to. Nothing is sent. */
export async function storeRecords(
  organisationId: number,
  records: readonly { event: DomainEvent; deliveries?: readonly StoredDelivery[] }[],
): Promise<void> {
  const groups = await journals.groupByJournal(organisationId, records, ({ event }) => event.id);
  for (const { key, items } of groups) {
    await registerJournal(openDatabase(env), key);
    await inJournal(key, (store) => {
      store.createTables();
      for (const { event, deliveries = [] } of items) store.add(event, deliveries);
    });
  }
}

/** Changes all deliveries of an organisation where they are stored; null: it stays as it is. */
export async function changeDeliveries(
  organisationId: number,
  change: (delivery: StoredDelivery) => StoredDelivery | null,
): Promise<void> {
  for (const key of await journalsOf(organisationId)) {
    await inJournal(key, (store) => {
      const range = { above: null, below: null, newestFirst: false, undelivered: false };
      const ids = [...store.scan(range)].map(({ id }) => id);
      for (const id of ids) store.changeDeliveries(id, change);
    });
  }
}

/** Makes today's journal of an organisation, so that the first event costs what every later one does. */
export async function warmJournal(organisationId: number): Promise<void> {
  const key = { organisationId, day: dayAt(Date.now()), number: 0 };
  await registerJournal(openDatabase(env), key);
  await inJournal(key, (store) => store.createTables());
}
