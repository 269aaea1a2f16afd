/** Making, changing and deleting keys: what a manager may, stored with its events in one batch. */

import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { retryChange } from "../db/retry";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventOutbox } from "../events/event-outbox";
import { type KeyEventData, type KeyFacts, keyFacts } from "./key";
import { forgetKey } from "./key-cache";
import { findKeyRecord, findKeyView, type KeyView, selectView, toView } from "./key-store";
import { newToken } from "./key-token";
import { isUnchanged, keyChange, keyDeletion, keyInsertion } from "./key-writes";
import {
  decideChange,
  type Granter,
  judgeCreation,
  type KeyChange,
  type KeyEventType,
  type KeySettings,
  type ManageRefusal,
  organisationsWithout,
} from "./who-may-change";

/** What managing keys stands on. */
export interface KeyDeps {
  db: Database;
  events: EventOutbox;
}

/** What a new key is to be. */
export type KeyCreation = Omit<KeySettings, "blocked" | "labels">;

/** A key as it is now, and its token where it is new: the only time that it is known. */
export type ManageResult =
  | { ok: true; key: KeyView; token: string | null }
  | { ok: false; refusal: ManageRefusal };

/** That a key was deleted, or why not. */
export type DeleteResult = { ok: true } | { ok: false; refusal: ManageRefusal };

/** Makes a key. */
export async function createKey(
  { db, events }: KeyDeps,
  granter: Granter,
  input: KeyCreation,
  now: number,
): Promise<ManageResult> {
  const refusal = judgeCreation(granter, input);
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
  // It may act elsewhere only than where its maker does: it is shown from there.
  const home = input.organisationIds[0] ?? granter.organisationId;
  try {
    const [insertion, ...more] = keyInsertion(db, input, token, now);
    const { view } = await runBatch(db, {
      key: insertion,
      more,
      // In the same batch: once the key is stored, nothing may fail but what is done behind the answer.
      view: selectView(db, home, granter.organisationIds, sql`last_insert_rowid()`),
      events: events.insertion(owed, undefined, numbered),
    });
    if (!view[0]) throw new Error("the key was not stored");
    const key = toView(view[0]);
    events.announce(owed.map((event) => withKeyId(event, key.id)));
    return { ok: true, key, token };
  } catch (error) {
    return { ok: false, refusal: toRefusal(error, input.dnsName) };
  }
}

/** Changes a key. Decided on what D1 holds, and stored only if nobody changed it meanwhile. */
export async function changeKey(
  { db, events }: KeyDeps,
  granter: Granter,
  id: number,
  change: KeyChange,
  now: number,
): Promise<ManageResult> {
  return retryChange<ManageResult>(`the API key ${id}`, async () => {
    const key = await findKeyRecord(db, granter.organisationId, id);
    if (!key) return { ok: false, refusal: { code: "not-found" } };
    const decision = decideChange(granter, key, change, now);
    if (!decision.ok) return decision;
    if (decision.events.length === 0) {
      const key = await findKeyView(db, granter.organisationId, granter.organisationIds, id);
      return key ? { ok: true, key, token: null } : undefined;
    }
    const { settings, previousTokens } = decision;
    const renewed = previousTokens && { token: newToken(), previous: previousTokens };
    const next = { ...keyFacts({ ...key, ...settings }), version: key.version + 1, updatedAt: now };
    const reached = [...new Set([...key.organisationIds, ...settings.organisationIds])];
    const owed = keyEvents(decision.events, next, reached, now);
    const { around, last } = keyChange(db, key, settings, renewed, now);
    const home = settings.organisationIds.includes(granter.organisationId)
      ? granter.organisationId
      : (settings.organisationIds[0] ?? granter.organisationId);
    try {
      const { changed, view } = await runBatch(db, {
        events: events.insertion(owed, isUnchanged(key)),
        around,
        changed: last,
        // In the same batch: a new token that was stored must not be lost because of a read.
        view: selectView(db, home, granter.organisationIds, id),
      });
      // Before anything else: from here on this isolate reads the key again.
      forgetKey(id);
      if (changed.length === 0 || !view[0]) return undefined;
      events.announce(owed);
      return { ok: true, key: toView(view[0]), token: renewed?.token ?? null };
    } catch (error) {
      return { ok: false, refusal: toRefusal(error, settings.dnsName) };
    }
  });
}

/**
 * Deletes a key; of one that also acts in organisations that the granter does not know, only what the
 * granter knows of it ends.
 */
export async function deleteKey(
  { db, events }: KeyDeps,
  granter: Granter,
  id: number,
  now: number,
): Promise<DeleteResult> {
  return retryChange<DeleteResult>(`the API key ${id}`, async () => {
    const key = await findKeyRecord(db, granter.organisationId, id);
    if (!key) return { ok: false, refusal: { code: "not-found" } };
    const left = organisationsWithout(granter, key.organisationIds);
    const gone = key.organisationIds.filter((organisation) => !left.includes(organisation));
    const next = { ...keyFacts(key), version: key.version + 1, updatedAt: now };
    const owed = [
      ...keyEvents(["key.deleted"], next, gone, now),
      ...keyEvents(["key.updated"], next, left, now),
    ];
    const { around, last } =
      left.length === 0
        ? keyDeletion(db, key)
        : keyChange(db, key, { ...key, organisationIds: left }, null, now);
    const { changed } = await runBatch(db, {
      events: events.insertion(owed, isUnchanged(key)),
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

/** D1 says that a name is taken with an error; every other error is not ours to answer. */
function toRefusal(error: unknown, dnsName: string | null): ManageRefusal {
  const said = `${String(error)} ${String((error as { cause?: unknown }).cause ?? "")}`;
  if (dnsName !== null && said.includes("UNIQUE constraint failed: api_keys.dns_name")) {
    return { code: "dns-name-taken", dnsName };
  }
  throw error;
}
