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
 * Removes the rows of sessions whose objects are gone, and takes live ones out of the count: one call of D1,
 * however many organisations they belong to.
 */
export async function forgetSessions(db: Database, keys: readonly SessionKey[]): Promise<void> {
  if (keys.length === 0) return;
  const kinds = [...Map.groupBy(keys, ({ kind }) => kind)];
  await runBatch(db, {
    rows: kinds.flatMap(([kind, some]) => removalsOf(db, kind, some)),
    connections: connectionRemoval(db, keys),
    devices: deviceRemoval(db, keys),
  });
}

/** The statements that take sessions of a kind out of the counts of their organisations, and then remove their rows. */
function removalsOf(db: Database, kind: SessionKind, keys: readonly SessionKey[]) {
  const listed = JSON.stringify(
    keys.map(({ organisationId, createdAt, id }) => [organisationId, createdAt, id]),
  );
  // All of the primary key is given, so that each row is found by it.
  const rowsThatEndedAs = (ended: readonly Ended[]) => sql`${sessions.kind} = ${kind}
    and ${inArray(sessions.ended, [...ended])}
    and (${sessions.organisationId}, ${sessions.createdAt}, ${sessions.id}) in (
      select value ->> 0, value ->> 1, value ->> 2 from json_each(${listed}))`;
  const all = [0, ...ENDED[kind]];
  const hasTotal = kind === "source";
  const counts = db
    .update(sessionCounts)
    .set({
      live: sql`${sessionCounts.live} - gone.live`,
      ...(hasTotal ? { total: sql`${sessionCounts.total} - gone.total` } : {}),
    })
    .from(
      sql`(select organisation_id, sum(ended = 0) as live, count(*) as total from ${sessions}
        where ${rowsThatEndedAs(hasTotal ? all : [0])} group by organisation_id) as gone`,
    )
    .where(
      sql`${sessionCounts.organisationId} = gone.organisation_id and ${sessionCounts.kind} = ${kind}`,
    );
  return [counts, db.delete(sessions).where(rowsThatEndedAs(all))];
}
