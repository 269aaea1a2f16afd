/** Organisations in D1: creates, lists, finds and deletes them. */
import { and, desc, eq, isNull, lt, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { applications } from "../db/schema/devices";
import { journals, owedEvents } from "../db/schema/events";
import { organisationKeys, organisations } from "../db/schema/organisations";
import { sessionCounts } from "../db/schema/sessions";
import { forgetKeysOf } from "../keys/key-cache";
import { keyInsertStatements } from "../keys/key-writes";
import { ALL_PERMISSIONS } from "../keys/permissions";
import { removeOrganisationKeys } from "../keys/retention";
import { describeError, log } from "../platform/log";
import { hasSessions } from "../session/session-retention";

/** Of how many keys the removal does not delay the answer much. Few organisations have more. */
const KEYS_REMOVED_AT_ONCE = 1_000;

/** A tenant. Times are Unix milliseconds. */
export interface Organisation {
  id: number;
  name: string;
  createdAt: number;
}

const columns = {
  id: organisations.id,
  name: organisations.name,
  createdAt: organisations.createdAt,
};

/** Stores a new organisation and its first API key, which has every permission: both, or neither. */
export async function createOrganisation(
  db: Database,
  name: string,
  token: string,
  now: number,
): Promise<{ organisation: Organisation; key: { id: number; tokenVersion: number } }> {
  const first = {
    name: "First key",
    organisationIds: sql`json_array(last_insert_rowid())`,
    permissions: [ALL_PERMISSIONS],
  };
  const [insertion, ...more] = keyInsertStatements(db, first, token, now);
  const { created, keys } = await runBatch(db, {
    created: db.insert(organisations).values({ name, createdAt: now }).returning(columns),
    keys: insertion,
    more,
  });
  if (!created[0] || !keys[0]) throw new Error("the organisation was not stored");
  return { organisation: created[0], key: keys[0] };
}

/** A page of the organisations, newest first; `before` is the last id of the page before. */
export async function listOrganisations(
  db: Database,
  query: { before: number | null; limit: number },
): Promise<Organisation[]> {
  return db
    .select(columns)
    .from(organisations)
    .where(
      and(
        isNull(organisations.deletedAt),
        query.before === null ? undefined : lt(organisations.id, query.before),
      ),
    )
    .orderBy(desc(organisations.id))
    .limit(query.limit);
}

/** An organisation. Null: there is none, or it was deleted. */
export async function findOrganisation(db: Database, id: number): Promise<Organisation | null> {
  const rows = await db
    .select(columns)
    .from(organisations)
    .where(and(eq(organisations.id, id), isNull(organisations.deletedAt)));
  return rows[0] ?? null;
}

/** The organisations with these ids, in the order in which the ids are given. Deleted ones are left out. */
export async function findOrganisations(
  db: Database,
  ids: readonly number[],
): Promise<Organisation[]> {
  const named = sql`${organisations.id} in (select value from json_each(${JSON.stringify(ids)}))`;
  const found = await db
    .select(columns)
    .from(organisations)
    .where(and(named, isNull(organisations.deletedAt)));
  return found.toSorted((one, other) => ids.indexOf(one.id) - ids.indexOf(other.id));
}

/**
 * Deletes an organisation. False: there is none. It is hidden, and its keys stop to work: in this isolate at once,
 * in others when they read the key again. The first of its keys are removed now. The sweep ends its sessions, and
 * removes all else, with the keys that are left.
 */
export async function deleteOrganisation(db: Database, id: number, now: number): Promise<boolean> {
  const rows = await db
    .update(organisations)
    .set({ deletedAt: now })
    .where(and(eq(organisations.id, id), isNull(organisations.deletedAt)))
    .returning({ id: organisations.id });
  if (rows.length === 0) return false;
  forgetKeysOf(id);
  try {
    await removeOrganisationKeys(db, id, KEYS_REMOVED_AT_ONCE);
  } catch (error) {
    // It is deleted all the same, and the answer says so.
    log("keys of a deleted organisation not removed", {
      organisation: id,
      error: describeError(error),
    });
  }
  return true;
}

/** An organisation that was deleted, and when (Unix milliseconds). */
export interface DeletedOrganisation {
  id: number;
  deletedAt: number;
}

/**
 * A page of the deleted organisations, those first that were deleted first. Their rows exist until all their
 * data is gone.
 * @param page `after`: the last one of the page before; null: the first page is wanted
 */
export async function listDeletedOrganisations(
  db: Database,
  { after, limit }: { after: DeletedOrganisation | null; limit: number },
): Promise<DeletedOrganisation[]> {
  const behind =
    after === null ? sql`true` : sql`(deleted_at, id) > (${after.deletedAt}, ${after.id})`;
  return db.all<DeletedOrganisation>(sql`select id, deleted_at as deletedAt
    from ${organisations} indexed by organisations_deleted
    where deleted_at is not null and ${behind} order by deleted_at, id limit ${limit}`);
}

/**
 * Removes the rows of a deleted organisation itself, unless some of its data is left. Its keys would work again
 * without the row, which says that it was deleted.
 */
export async function removeEmptyOrganisation(db: Database, id: number): Promise<void> {
  const isEmpty = sql`not ${hasSessions(id)}
    and not exists (select 1 from ${organisationKeys} where organisation_id = ${id})
    and not exists (select 1 from ${owedEvents} where organisation_id = ${id})
    and not exists (select 1 from ${journals} where organisation_id = ${id})
    and not exists (select 1 from ${applications} where organisation_id = ${id})`;
  await db.batch([
    db.delete(organisations).where(and(eq(organisations.id, id), isEmpty)),
    db.delete(sessionCounts).where(and(eq(sessionCounts.organisationId, id), isEmpty)),
  ]);
}

/** A short form of an organisation's name: lower-case letters, digits and hyphens, at most 24 characters. */
export function organisationSlug(name: string): string {
  const short = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .slice(0, 24)
    .replace(/^-+|-+$/g, "");
  return short === "" ? "organisation" : short;
}
