/** Making, changing and deleting keys: what a manager may, stored with its events in one batch. */

import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { ChangedMeanwhile, retryChange } from "../db/retry";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventOutbox } from "../events/event-outbox";
import { type KeyEventData, type KeyFacts, keyFacts } from "./key";
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

/** What managing keys stands on. */
export interface KeyServices {
  db: Database;
  events: EventOutbox;
}

/** What a new key is to be. */
export type KeyCreation = Omit<KeySettings, "blocked" | "labels">;

/** A key as it is now, and its token where it is new: the only time that it is known. */
export type KeyChangeResult =
  | { ok: true; key: KeyView; token: string | null }
  | { ok: false; refusal: KeyChangeRefusal };

/** That a key was deleted, or why not. */
export type KeyDeletionResult = { ok: true } | { ok: false; refusal: KeyChangeRefusal };

/** Makes a key. */
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
  const owed = keyEvents(["key.created"], unnumbered, input.organisationIds, now);
  const numbered = sql`json_set(value ->> 'data', '$.key.id', last_insert_rowid())`;
  try {
    const [insertion, ...more] = keyInsertStatements(db, input, token, now);
    const { key } = await runBatch(db, {
      key: insertion,
      more,
      events: events.insertion(owed, undefined, numbered),
    });
    const [stored] = key;
    if (!stored) throw new Error("the key was not stored");
    const { id } = stored;
    events.announce(owed.map((event) => withKeyId(event, id)));
    // It may act elsewhere only than where its maker does: it is shown from there.
    const home = input.organisationIds[0] ?? granter.organisationId;
    return shown(db, { ...granter, organisationId: home }, id, token);
  } catch (error) {
    return { ok: false, refusal: toRefusal(error, input.dnsName) };
  }
}

/** Changes a key. Decided on what D1 holds, and stored only if nobody changed it meanwhile. */
export async function changeKey(
  { db, events }: KeyServices,
  granter: Granter,
  id: number,
  change: KeyChange,
  now: number,
): Promise<KeyChangeResult> {
  return retryChange<KeyChangeResult>(`the API key ${id}`, async () => {
    const key = await findKeyRecord(db, granter.organisationId, id);
    if (!key) return { ok: false, refusal: { code: "not-found" } };
    const decision = decideKeyChange(granter, key, change, now);
    if (!decision.ok) return decision;
    if (decision.events.length === 0) return shown(db, granter, id, null);
    const { settings, previousTokens } = decision;
    const renewed = previousTokens && { token: newToken(), previous: previousTokens };
    const next = { ...keyFacts({ ...key, ...settings }), version: key.version + 1, updatedAt: now };
    const reached = [...new Set([...key.organisationIds, ...settings.organisationIds])];
    const owed = keyEvents(decision.events, next, reached, now);
    const { around, last } = keyUpdateStatements(db, key, settings, renewed, now);
    try {
      const { changed } = await runBatch(db, {
        events: events.insertion(owed, isKeyUnchanged(key)),
        around,
        changed: last,
      });
      // Before anything else: from here on this isolate reads the key again.
      forgetKey(id);
      if (changed.length === 0) return undefined;
    } catch (error) {
      return { ok: false, refusal: toRefusal(error, settings.dnsName) };
    }
    events.announce(owed);
    const home = settings.organisationIds.includes(granter.organisationId)
      ? granter.organisationId
      : (settings.organisationIds[0] ?? granter.organisationId);
    return shown(db, { ...granter, organisationId: home }, id, renewed?.token ?? null);
  });
}

/**
 * Deletes a key; of one that also acts in organisations that the granter does not know, only what the
 * granter knows of it ends.
 */
export async function deleteKey(
  { db, events }: KeyServices,
  granter: Granter,
  id: number,
  now: number,
): Promise<KeyDeletionResult> {
  return retryChange<KeyDeletionResult>(`the API key ${id}`, async () => {
    const key = await findKeyRecord(db, granter.organisationId, id);
    if (!key) return { ok: false, refusal: { code: "not-found" } };
    const left = organisationsUnknownTo(granter, key.organisationIds);
    const gone = key.organisationIds.filter((organisation) => !left.includes(organisation));
    const next = { ...keyFacts(key), version: key.version + 1, updatedAt: now };
    const owed = [
      ...keyEvents(["key.deleted"], next, gone, now),
      ...keyEvents(["key.updated"], next, left, now),
    ];
    const { around, last } =
      left.length === 0
        ? keyDeleteStatements(db, key)
        : keyUpdateStatements(db, key, { ...key, organisationIds: left }, null, now);
    const { changed } = await runBatch(db, {
      events: events.insertion(owed, isKeyUnchanged(key)),
      around,
      changed: last,
    });
    forgetKey(id);
    if (changed.length === 0) return undefined;
    events.announce(owed);
    return { ok: true };
  });
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

async function shown(
  db: Database,
  { organisationId, organisationIds }: Granter,
  id: number,
  token: string | null,
): Promise<KeyChangeResult> {
  const key = await findKeyView(db, organisationId, organisationIds, id);
  if (!key) throw new ChangedMeanwhile(`the API key ${id} is gone`);
  return { ok: true, key, token };
}

/** D1 says that a name is taken with an error; every other error is not ours to answer. */
function toRefusal(error: unknown, dnsName: string | null): KeyChangeRefusal {
  const said = `${String(error)} ${String((error as { cause?: unknown }).cause ?? "")}`;
  if (dnsName !== null && said.includes("UNIQUE constraint failed: api_keys.dns_name")) {
    return { code: "dns-name-taken", dnsName };
  }
  throw error;
}
