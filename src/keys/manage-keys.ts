/** Creates, changes and deletes API keys, for the routes. Each change is stored with its events in one batch. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { ChangedMeanwhile, retryChange } from "../db/retry";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventOutbox } from "../events/event-outbox";
import { type KeyEventData, type KeyFacts, type KeyRecord, keyFacts } from "./key";
import { forgetKey } from "./key-cache";
import { findKeyRecord, findKeyView, type KeyView } from "./key-store";
import { newToken } from "./key-token";
import {
  isKeyUnchanged,
  keyDeleteStatements,
  keyInsertStatements,
  keyUpdateStatements,
} from "./key-writes";
import {
  checkKeyCreation,
  decideKeyChange,
  type Granter,
  type KeyChange,
  type KeyChangeRefusal,
  type KeyEventType,
  type KeySettings,
  organisationsUnknownTo,
} from "./who-may-change";

/** The services that changes of keys use. */
export interface KeyServices {
  db: Database;
  events: EventOutbox;
}

/** The settings of a new key. */
export type KeyCreation = Omit<KeySettings, "blocked" | "labels">;

/** The key as it is now, with its token if that is new. It is shown this once; only its digest is stored. */
export type KeyChangeResult =
  | { ok: true; key: KeyView; token: string | null }
  | { ok: false; refusal: KeyChangeRefusal };

/** That a key was deleted, or why not. */
export type KeyDeletionResult = { ok: true } | { ok: false; refusal: KeyChangeRefusal };

/** Creates a key. */
export async function createKey(
  { db, events }: KeyServices,
  granter: Granter,
  input: KeyCreation,
  now: number,
): Promise<KeyChangeResult> {
  const refusal = checkKeyCreation(granter, input);
  if (refusal) return { ok: false, refusal };
  const token = newToken();
  const unnumbered: KeyFacts = {
    ...input,
    id: 0,
    version: 1,
    labels: [],
    blocked: false,
    createdAt: now,
    updatedAt: null,
  };
  // The key gets its id in the batch: SQL puts it into the stored event, and `withKeyId` into the sent one.
  const created = keyEvents(["key.created"], unnumbered, input.organisationIds, now);
  const numbered = sql`json_set(value ->> 'data', '$.key.id', last_insert_rowid())`;
  try {
    const [insertion, ...more] = keyInsertStatements(db, input, token, now);
    const { key } = await runBatch(db, {
      key: insertion,
      more,
      events: events.insertion(created, undefined, numbered),
    });
    const [stored] = key;
    if (!stored) throw new Error("the key was not stored");
    const { id } = stored;
    events.announce(created.map((event) => withKeyId(event, id)));
    // A key may belong only to other organisations than the one of this call: it is read from its first.
    const home = input.organisationIds[0] ?? granter.organisationId;
    return readForAnswer(db, { ...granter, organisationId: home }, id, token);
  } catch (error) {
    return { ok: false, refusal: toRefusal(error, input.dnsName) };
  }
}

/** Changes a key. It decides on the key as it is in D1, and stores only if nobody has changed it meanwhile. */
export async function changeKey(
  services: KeyServices,
  granter: Granter,
  { id, change }: { id: number; change: KeyChange },
  now: number,
): Promise<KeyChangeResult> {
  const { db } = services;
  return retryChange<KeyChangeResult>(`the API key ${id}`, async () => {
    const key = await findKeyRecord(db, granter.organisationId, id);
    if (!key) return { ok: false, refusal: { code: "not-found" } };
    const decision = decideKeyChange(granter, key, change, now);
    if (!decision.ok) return decision;
    if (decision.events.length === 0) return readForAnswer(db, granter, id, null);
    const { settings, previousTokens } = decision;
    const refreshed = previousTokens && { token: newToken(), previous: previousTokens };
    const next = { ...keyFacts({ ...key, ...settings }), version: key.version + 1, updatedAt: now };
    const organisationIds = [...new Set([...key.organisationIds, ...settings.organisationIds])];
    const changed = keyEvents(decision.events, next, organisationIds, now);
    const statements = keyUpdateStatements(db, key, { next: settings, refreshed }, now);
    try {
      if (!(await storeWithEvents(services, key, statements, changed))) return undefined;
    } catch (error) {
      return { ok: false, refusal: toRefusal(error, settings.dnsName) };
    }
    const home = settings.organisationIds.includes(granter.organisationId)
      ? granter.organisationId
      : (settings.organisationIds[0] ?? granter.organisationId);
    return readForAnswer(db, { ...granter, organisationId: home }, id, refreshed?.token ?? null);
  });
}

/**
 * Deletes a key. If it also belongs to organisations that are not the granter's, it stays in those, and
 * only leaves the granter's.
 */
export async function deleteKey(
  services: KeyServices,
  granter: Granter,
  id: number,
  now: number,
): Promise<KeyDeletionResult> {
  const { db } = services;
  return retryChange<KeyDeletionResult>(`the API key ${id}`, async () => {
    const key = await findKeyRecord(db, granter.organisationId, id);
    if (!key) return { ok: false, refusal: { code: "not-found" } };
    const left = organisationsUnknownTo(granter, key.organisationIds);
    const gone = key.organisationIds.filter((organisation) => !left.includes(organisation));
    const facts = { ...keyFacts(key), version: key.version + 1, updatedAt: now };
    const changed = [
      ...keyEvents(["key.deleted"], facts, gone, now),
      ...keyEvents(["key.updated"], facts, left, now),
    ];
    const next = { ...key, organisationIds: left };
    const statements =
      left.length === 0
        ? keyDeleteStatements(db, key)
        : keyUpdateStatements(db, key, { next, refreshed: null }, now);
    return (await storeWithEvents(services, key, statements, changed)) ? { ok: true } : undefined;
  });
}

/** Stores a change of a key with its events, and sends them. False: others have changed the key meanwhile. */
async function storeWithEvents(
  { db, events }: KeyServices,
  key: KeyRecord,
  { before, last }: ReturnType<typeof keyUpdateStatements | typeof keyDeleteStatements>,
  changed: readonly DomainEvent<KeyEventData>[],
): Promise<boolean> {
  const { rows } = await runBatch(db, {
    events: events.insertion(changed, isKeyUnchanged(key)),
    before,
    rows: last,
  });
  // Before anything else: from here on this isolate reads the key again.
  forgetKey(key.id);
  if (rows.length === 0) return false;
  events.announce(changed);
  return true;
}

/** One event of each type for each organisation. */
export function keyEvents(
  types: readonly KeyEventType[],
  key: KeyFacts,
  organisationIds: readonly number[],
  at: number,
): DomainEvent<KeyEventData>[] {
  return types.flatMap((type) =>
    organisationIds.map((organisationId) => ({
      id: newEventId(at),
      organisationId,
      type,
      at,
      data: { key: keyFacts(key) },
    })),
  );
}

function withKeyId(event: DomainEvent<KeyEventData>, id: number): DomainEvent<KeyEventData> {
  return { ...event, data: { key: { ...event.data.key, id } } };
}

/** The key as it is now, for the answer. */
async function readForAnswer(
  db: Database,
  { organisationId, organisationIds }: Granter,
  id: number,
  token: string | null,
): Promise<KeyChangeResult> {
  const key = await findKeyView(db, organisationId, organisationIds, id);
  if (!key) throw new ChangedMeanwhile(`the API key ${id} is gone`);
  return { ok: true, key, token };
}

/** D1 throws an error when a DNS name is taken. Any other error is thrown again. */
function toRefusal(error: unknown, dnsName: string | null): KeyChangeRefusal {
  const said = `${String(error)} ${String((error as { cause?: unknown }).cause ?? "")}`;
  if (dnsName !== null && said.includes("UNIQUE constraint failed: api_keys.dns_name")) {
    return { code: "dns-name-taken", dnsName };
  }
  throw error;
}
