/** Removes the rows of sessions that are old, or whose organisation was deleted. The sweep calls it. */
import { and, eq, lt, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { connectionRemoval, deviceRemoval } from "./connections-and-devices";
import type { SessionKind } from "./session";
import { type Ended, keyColumns, type SessionKey } from "./session-key";

/** Sessions of an organisation that are to be removed: a range of its rows, in the order of creation. */
export interface RemovalQuery {
  organisationId: number;
  kind: SessionKind;
  ended: Ended;
  /** Ended before this moment (Unix milliseconds); null: all. */
  cutoff: number | null;
  /** The last one of the page before. */
  after: Pick<SessionKey, "createdAt" | "id"> | null;
  limit: number;
}

/**
 * A page of the sessions that are to be removed. Rows are in the order of creation: it reads in vain only
 * the sessions that were made before the cutoff and ended after it.
 */
export async function findRemovable(db: Database, query: RemovalQuery): Promise<SessionKey[]> {
  const { cutoff, after } = query;
  return db
    .select(keyColumns)
    .from(sessions)
    .where(
      and(
        eq(sessions.organisationId, query.organisationId),
        eq(sessions.kind, query.kind),
        eq(sessions.ended, query.ended),
        cutoff === null
          ? undefined
          : and(lt(sessions.createdAt, cutoff), lt(sessions.endedAt, cutoff)),
        after === null
          ? undefined
          : sql`(${sessions.createdAt}, ${sessions.id}) > (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(sessions.createdAt, sessions.id)
    .limit(query.limit);
}

/**
 * Removes the rows of sessions whose objects are gone, and takes live ones out of the count: one batch
 * for each kind that an organisation has among them.
 */
export async function forgetSessions(db: Database, keys: readonly SessionKey[]): Promise<void> {
  const groups = Map.groupBy(keys, ({ organisationId, kind }) => `${organisationId}/${kind}`);
  for (const group of groups.values()) await forgetGroup(db, group);
}

async function forgetGroup(db: Database, group: readonly SessionKey[]): Promise<void> {
  const [first] = group;
  if (!first) return;
  const { organisationId, kind } = first;
  const places = JSON.stringify(group.map(({ createdAt, id }) => ({ createdAt, id })));
  const listed = (ended: SQL) => sql`${sessions.organisationId} = ${organisationId}
    and ${sessions.kind} = ${kind} and (${sessions.ended}, ${sessions.createdAt}, ${sessions.id}) in (
      select e.value, k.value ->> 'createdAt', k.value ->> 'id'
      from json_each(${places}) k, json_each(${ended}) e)`;
  const live = sql`(select count(*) from ${sessions} where ${listed(sql`'[0]'`)})`;
  const all = sql`(select count(*) from ${sessions} where ${listed(sql`'[0,1,2]'`)})`;
  const counted = kind === "source";
  const ids = group.map(({ id }) => id);
  await runBatch(db, {
    counts: db
      .update(sessionCounts)
      .set({
        live: sql`${sessionCounts.live} - ${live}`,
        ...(counted ? { total: sql`${sessionCounts.total} - ${all}` } : {}),
      })
      .where(
        and(
          eq(sessionCounts.organisationId, organisationId),
          eq(sessionCounts.kind, kind),
          sql`${counted ? all : live} > 0`,
        ),
      ),
    rows: db.delete(sessions).where(listed(sql`'[0,1,2]'`)),
    connections: connectionRemoval(db, organisationId, ids),
    devices: deviceRemoval(db, organisationId, ids),
  });
}
