/** Creates, changes and deletes API keys, for the operations. Each change is stored with its events in one batch. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { retryChange } from "../db/retry";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventOutbox } from "../events/event-outbox";
import { type KeyEventData, type KeyFacts, type KeyRecord, keyFacts } from "./key";
import { forgetKey } from "./key-cache";
import { findKeyRecord, findKeyView, type KeyView, selectView, toView } from "./key-store";
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
  // A key may belong only to other organisations than the one of this call: it is shown from its first.
  const home = input.organisationIds[0] ?? granter.organisationId;
  try {
    const [insertion, ...more] = keyInsertStatements(db, input, token, now);
    const { view } = await runBatch(db, {
      key: insertion,
      more,
      // In the same batch: once the key is stored, nothing may fail but what is done behind the answer.
      view: selectView(db, home, granter.organisationIds, sql`last_insert_rowid()`),
      events: events.insertion(created, undefined, numbered),
    });
    if (!view[0]) throw new Error("the key was not stored");
    const key = toView(view[0]);
    events.sendAfterAnswer(created.map((event) => withKeyId(event, key.id)));
    return { ok: true, key, token };
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
    if (decision.events.length === 0) {
      const same = await findKeyView(db, granter.organisationId, granter.organisationIds, id);
      return same ? { ok: true, key: same, token: null } : undefined;
    }
    const { settings, previousTokens } = decision;
    const refreshed = previousTokens && { token: newToken(), previous: previousTokens };
    const next = { ...keyFacts({ ...key, ...settings }), version: key.version + 1, updatedAt: now };
    const organisationIds = [...new Set([...key.organisationIds, ...settings.organisationIds])];
    const changed = keyEvents(decision.events, next, organisationIds, now);
    const statements = keyUpdateStatements(db, key, { next: settings, refreshed }, now);
    const home = settings.organisationIds.includes(granter.organisationId)
      ? granter.organisationId
      : (settings.organisationIds[0] ?? granter.organisationId);
    // In the same batch: a new token that was stored must not be lost because of a read.
    const view = selectView(db, home, granter.organisationIds, id);
    try {
      const stored = await storeWithEvents(services, key, statements, { changed, views: [view] });
      const [shown] = stored?.[0] ?? [];
      if (!shown) return undefined;
      return { ok: true, key: toView(shown), token: refreshed?.token ?? null };
    } catch (error) {
      return { ok: false, refusal: toRefusal(error, settings.dnsName) };
    }
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
    const stored = await storeWithEvents(services, key, statements, { changed, views: [] });
    return stored ? { ok: true } : undefined;
  });
}

/**
 * Stores a change of a key with its events, and sends them.
 * @returns the key as `views` read it in the same batch; null: others have changed the key meanwhile
 */
async function storeWithEvents(
  { db, events }: KeyServices,
  key: KeyRecord,
  { before, last }: ReturnType<typeof keyUpdateStatements | typeof keyDeleteStatements>,
  {
    changed,
    views,
  }: { changed: readonly DomainEvent<KeyEventData>[]; views: readonly KeyViewQuery[] },
) {
  const read = await runBatch(db, {
    events: events.insertion(changed, isKeyUnchanged(key)),
    before,
    rows: last,
    views,
  });
  // Before anything else: from here on this isolate reads the key again.
  forgetKey(key.id);
  if (read.rows.length === 0) return null;
  events.sendAfterAnswer(changed);
  return read.views;
}

type KeyViewQuery = ReturnType<typeof selectView>;

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

/** D1 throws an error when a DNS name is taken. Any other error is thrown again. */
function toRefusal(error: unknown, dnsName: string | null): KeyChangeRefusal {
  const said = `${String(error)} ${String((error as { cause?: unknown }).cause ?? "")}`;
  if (dnsName !== null && said.includes("UNIQUE constraint failed: api_keys.dns_name")) {
    return { code: "dns-name-taken", dnsName };
  }
  throw error;
}
