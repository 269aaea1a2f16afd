/**
 * Projects a session: writes its state to D1, where it can be listed. The session's object calls it after
 * each change. Every write has the version of the state: a late write, or one that comes twice, changes
 * nothing.
 *
 * `announced` is also the mark of the object's outbox. A row that says 7 was written after the events up
 * to version 7 had been recorded in their journal. So the object needs no write of its own to remember that.
 */
import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { connectionStatements, deviceStatements } from "./connections-and-devices";
import { isFinal, type Session } from "./session";
import { ENDED, type Ended, endedOf, hasKey, type SessionKey } from "./session-key";
import { dueAt, expiringAt, nextCheckAt } from "./timing";

/** How long after the end of a session is due the sweep looks at it: the object's own alarm comes first. */
const SWEEP_GRACE_MS = 60_000;
/** How soon the sweep looks at a session whose events could not be recorded. */
const UNDRAINED_SWEEP_MS = 120_000;

/** What a projection needs besides the session. */
export interface ProjectionInput {
  /** All events up to this version are recorded in a journal. */
  announced: number;
  /** When a source session was last used, Unix milliseconds; null or absent: never. Kept once it has ended. */
  usedAt?: number | null;
  /** Unix milliseconds. */
  now: number;
  /** Statements for rows of other tables that follow from the session. They run in the same batch. */
  also?: readonly BatchItem<"sqlite">[];
}

/** What a session's row holds beside its key. */
interface RowState {
  ended: Ended;
  endedAt: number | null;
  version: number;
  announced: number;
  sweepAt: number | null;
  state: string;
  usedAt: number | null;
}

/** Writes this state to D1, unless D1 has a later one. */
export async function projectSession(
  db: Database,
  session: Session,
  { announced, usedAt = null, now, also = [] }: ProjectionInput,
): Promise<void> {
  const row: RowState = {
    ended: endedOf(session),
    endedAt: isFinal(session) ? session.endedAt : null,
    version: session.version,
    announced,
    sweepAt: sweepTime(session, announced, now),
    state: JSON.stringify(session),
    usedAt: session.source && isFinal(session) ? usedAt : null,
  };
  await db.batch([
    countStatement(db, session, row),
    ...(row.ended ? [moveStatement(db, session, row)] : []),
    upsertStatement(db, session, row),
    rescheduleStatement(db, session, row),
    ...also,
    // Last, when the row says whether this state is the newest.
    ...projectDevices(db, session, row.ended),
    ...projectConnections(db, session, row.ended),
  ]);
}

/**
 * Changes the counts in the transaction in which a row appears or a live one ends: they cannot drift.
 *
 *     in D1         this state   `live`   `total` (source sessions only)
 *     no row        live         +1       +1
 *     no row        ended        0        +1
 *     live row      live         0        0   (repeated, or a later state)
 *     live row      ended        -1       0
 *     ended row     either       0        0   (repeated, or late)
 */
function countStatement(db: Database, session: Session, { ended }: RowState) {
  const { source } = session;
  const liveRow = rowExists(session, 0);
  const endedRow = rowExists(session, ...ENDED[session.kind]);
  const appears = sql`(not ${liveRow} and not ${endedRow})`;
  const ends = source ? sql`(${liveRow} or not ${endedRow})` : liveRow;
  const live = ended ? sql`-${liveRow}` : sql`1`;
  const total = source ? sql`${appears}` : sql`0`;
  return db
    .insert(sessionCounts)
    .select(
      sql`select ${session.organisationId}, ${session.kind}, ${ended ? 0 : 1}, ${source ? 1 : 0}
        where ${ended ? ends : appears}`,
    )
    .onConflictDoUpdate({
      target: [sessionCounts.organisationId, sessionCounts.kind],
      set: {
        live: sql`${sessionCounts.live} + ${live}`,
        total: sql`${sessionCounts.total} + ${total}`,
      },
    });
}

/** `ended` is part of the primary key. So the live row is first moved to its new key. */
function moveStatement(db: Database, session: Session, row: RowState) {
  return db
    .update(sessions)
    .set(row)
    .where(and(hasKey(session, 0), isNewer(row)));
}

/** Writes the row. A late write of a live state must not appear beside an ended row. */
function upsertStatement(db: Database, session: Session, row: RowState) {
  const { source } = session;
  const { ended, version, announced, state } = row;
  return db
    .insert(sessions)
    .select(
      sql`select ${session.organisationId}, ${session.kind}, ${ended}, ${session.createdAt},
        ${session.id}, ${row.endedAt}, ${version}, ${announced}, ${row.sweepAt}, ${state},
        ${source ? session.keyId : null}, ${source?.userId ?? null}, ${source?.sourceId ?? null}, ${row.usedAt}
        where ${ended ? sql`true` : sql`not ${rowExists(session, ...ENDED[session.kind])}`}`,
    )
    .onConflictDoUpdate({
      target: [
        sessions.organisationId,
        sessions.kind,
        sessions.ended,
        sessions.createdAt,
        sessions.id,
      ],
      set: { version, announced, state },
      setWhere: isNewer(row),
    });
}

/** A separate statement: an update that names an indexed column writes its index entry, even if it stays the same. */
function rescheduleStatement(db: Database, session: Session, row: RowState) {
  return db
    .update(sessions)
    .set({ sweepAt: row.sweepAt })
    .where(
      and(
        hasKey(session, row.ended),
        eq(sessions.version, row.version),
        eq(sessions.announced, row.announced),
        sql`${sessions.sweepAt} is not ${row.sweepAt}`,
      ),
    );
}

/** That what is to be written is newer than the row that is there. */
function isNewer({ version, announced }: RowState): SQL {
  return sql`(${version} > ${sessions.version} or (${version} = ${sessions.version}
    and ${announced} > ${sessions.announced}))`;
}

/** That the session has a row whose `ended` is one of these. */
function rowExists(session: Session, ...ended: Ended[]): SQL {
  return sql`exists (select 1 from ${sessions} where ${hasKey(session, ...ended)})`;
}

/** Writes which devices the session has. A session that has none, and never lost a user, needs nothing. */
function projectDevices(db: Database, session: Session, ended: Ended) {
  const ids = session.users.flatMap(({ deviceId }) => deviceId ?? []);
  if (ids.length === 0 && session.nextUser === session.users.length) return [];
  return deviceStatements(db, {
    session,
    ids: ended ? [] : ids,
    onlyIf: hasThisVersion(session, ended),
  });
}

/** Writes which connections the session has. A session that has none, and never lost a user, needs nothing. */
function projectConnections(db: Database, session: Session, ended: Ended) {
  const ids = session.users.flatMap(({ connectionId }) => connectionId ?? []);
  if (ids.length === 0 && session.nextUser === session.users.length) return [];
  return connectionStatements(db, {
    session,
    ids: ended ? [] : ids,
    onlyIf: hasThisVersion(session, ended),
  });
}

/** That the session's row in D1 has this version, and no later one. */
function hasThisVersion(session: Session, ended: Ended): SQL {
  return sql`exists (select 1 from ${sessions}
    where ${hasKey(session, ended)} and ${sessions.version} = ${session.version})`;
}

/** Up to which version the events of a session are known to be recorded; null without a row. */
export async function findAnnounced(db: Database, key: SessionKey): Promise<number | null> {
  const rows = await db
    .select({ announced: sessions.announced })
    .from(sessions)
    .where(hasKey(key, 0, ...ENDED[key.kind]))
    .orderBy(desc(sessions.announced))
    .limit(1);
  return rows[0]?.announced ?? null;
}

function sweepTime(session: Session, announced: number, now: number): number | null {
  if (announced < session.version) return now + UNDRAINED_SWEEP_MS;
  if (isFinal(session)) return null;
  const end = dueAt(session, null) + SWEEP_GRACE_MS;
  return Math.min(end, expiringAt(session) ?? end, nextCheckAt(session, now) ?? end);
}
