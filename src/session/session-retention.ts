/** Removes the rows of sessions that have ended, are old, or whose organisation was deleted. The sweep calls it. */
import { and, eq, gte, lt, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { connectionRemoval, deviceRemoval } from "./connections-and-devices";
import type { SessionKind } from "./session";
import { ENDED, type Ended, keyColumns, type SessionKey } from "./session-key";

/** Sessions of an organisation that are to be removed: a range of its rows, in the order of creation. */
export interface RemovalQuery {
  organisationId: number;
  kind: SessionKind;
  ended: Ended;
  /**
   * Which of them: all; those that ended before this moment (Unix milliseconds); or those whose events are
   * all recorded.
   */
  only: "all" | "recorded" | { endedBefore: number };
  /** The last one of the page before. */
  after: Pick<SessionKey, "createdAt" | "id"> | null;
  limit: number;
}

/**
 * A page of the sessions that are to be removed. Rows are in the order of creation: where they are to have
 * ended before a moment, it reads in vain only those that were made before it and ended after it.
 */
export async function findRemovable(db: Database, query: RemovalQuery): Promise<SessionKey[]> {
  const { only, after } = query;
  return db
    .select(keyColumns)
    .from(sessions)
    .where(
      and(
        eq(sessions.organisationId, query.organisationId),
        eq(sessions.kind, query.kind),
        eq(sessions.ended, query.ended),
        condition(only),
        after === null
          ? undefined
          : sql`(${sessions.createdAt}, ${sessions.id}) > (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(sessions.createdAt, sessions.id)
    .limit(query.limit);
}

function condition(only: RemovalQuery["only"]): SQL | undefined {
  if (only === "all") return undefined;
  if (only === "recorded") return gte(sessions.announced, sessions.version);
  const { endedBefore } = only;
  return and(lt(sessions.createdAt, endedBefore), lt(sessions.endedAt, endedBefore));
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
  const any = sql`${JSON.stringify([0, ...ENDED[kind]])}`;
  const live = sql`(select count(*) from ${sessions} where ${listed(sql`'[0]'`)})`;
  const all = sql`(select count(*) from ${sessions} where ${listed(any)})`;
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
    rows: db.delete(sessions).where(listed(any)),
    connections: connectionRemoval(db, organisationId, ids),
    devices: deviceRemoval(db, organisationId, ids),
  });
}
