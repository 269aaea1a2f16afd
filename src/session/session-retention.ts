/** Finds and removes the rows of sessions that have ended, are old, or whose organisation was deleted. The sweep calls it. */
import { and, eq, gte, inArray, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { connectionRemoval, deviceRemoval } from "./connections-and-devices";
import type { SessionKind } from "./session";
import { ENDED, type Ended, keyColumns, type SessionKey } from "./session-key";

/** The last session of a page of those that ended with the same `Ended`. The next page begins behind it. */
export type EndedPosition = Pick<SessionKey, "organisationId" | "createdAt" | "id">;

/**
 * A page of the relay sessions of all organisations for each of these `ended`, in this order: those whose events
 * are all recorded. Each is a range of the table, so that nothing else is read.
 * @param page `after`: the last one of the page before; null: the first page is wanted
 */
export async function findEndedRelays(
  db: Database,
  ended: readonly Ended[],
  page: { after: EndedPosition | null; limit: number },
): Promise<SessionKey[][]> {
  const { after, limit } = page;
  const { organisationId, createdAt, id } = sessions;
  const { pages } = await runBatch(db, {
    pages: ended.map((one) =>
      db
        .select(keyColumns)
        .from(sessions)
        .where(
          and(
            eq(sessions.kind, "relay"),
            eq(sessions.ended, one),
            gte(sessions.announced, sessions.version),
            after === null
              ? undefined
              : sql`(${organisationId}, ${createdAt}, ${id})
                  > (${after.organisationId}, ${after.createdAt}, ${after.id})`,
          ),
        )
        .orderBy(organisationId, createdAt, id)
        .limit(limit),
    ),
  });
  return pages;
}

/** A source session that ended at that moment (Unix milliseconds). */
export type OldSource = SessionKey & { ended: Ended; endedAt: number };

/**
 * A page of the source sessions of all organisations that ended before a moment (Unix milliseconds), those first
 * that ended first.
 * @param page `after`: the last one of the page before; null: the first page is wanted
 */
export async function findOldSources(
  db: Database,
  endedBefore: number,
  { after, limit }: { after: OldSource | null; limit: number },
): Promise<OldSource[]> {
  // The columns that the index has, in its order.
  const position = sql`ended_at, kind, ended, organisation_id, created_at, id`;
  const behind =
    after === null
      ? sql`true`
      : sql`(${position}) > (${after.endedAt}, ${after.kind}, ${after.ended},
          ${after.organisationId}, ${after.createdAt}, ${after.id})`;
  return db.all<OldSource>(sql`select organisation_id as organisationId, kind, ended,
      created_at as createdAt, id, ended_at as endedAt
    from ${sessions} indexed by sessions_by_age
    where source_id is not null and ended > 0 and ended_at < ${endedBefore} and ${behind}
    order by ${position} limit ${limit}`);
}

/** Sessions of an organisation: a range of its rows. */
export interface SessionRange {
  organisationId: number;
  kind: SessionKind;
  ended: Ended;
}

/**
 * A page of an organisation's sessions, in the order of their creation.
 * @param page `after`: the last one of the page before; null: the first page is wanted
 */
export async function findSessionsOf(
  db: Database,
  { organisationId, kind, ended }: SessionRange,
  { after, limit }: { after: Pick<SessionKey, "createdAt" | "id"> | null; limit: number },
): Promise<SessionKey[]> {
  return db
    .select(keyColumns)
    .from(sessions)
    .where(
      and(
        eq(sessions.kind, kind),
        eq(sessions.ended, ended),
        eq(sessions.organisationId, organisationId),
        after === null
          ? undefined
          : sql`(${sessions.createdAt}, ${sessions.id}) > (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(sessions.createdAt, sessions.id)
    .limit(limit);
}

/** The condition that an organisation has a session, live or not. */
export function hasSessions(organisationId: number): SQL {
  // All values of the first columns of the key are listed, so that SQLite uses it.
  const kinds = Object.keys(ENDED);
  const ended = [...new Set([0, ...Object.values(ENDED).flat()])];
  return sql`exists (select 1 from ${sessions} where ${inArray(sessions.kind, kinds as SessionKind[])}
    and ${inArray(sessions.ended, ended)} and organisation_id = ${organisationId})`;
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
  const listed = (ended: SQL) => sql`${sessions.kind} = ${kind}
    and ${sessions.organisationId} = ${organisationId}
    and (${sessions.ended}, ${sessions.createdAt}, ${sessions.id}) in (
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
