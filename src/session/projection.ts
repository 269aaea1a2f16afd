/**
 * Shows a session's state in D1, where it can be listed. The session's object calls it after each change.
 * Every write has the version of the state: a late write, or one that comes twice, changes nothing.
 *
 * `announced` is also the mark of the object's outbox. A row that says 7 was written after the events up
 * to version 7 had been put on the queue. So the object needs no write of its own to remember that.
 */
import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { connectionStatements, deviceStatements } from "./presence";
import { isFinal, type Session } from "./session";
import { type Ended, hasKey, type SessionKey } from "./session-key";
import { dueAt, expiringAt, nextCheckAt } from "./timing";

/** How long after its end is due the sweep looks for a session: the object's own alarm comes first. */
const SWEEP_GRACE_MS = 60_000;
/** How soon the sweep looks for an object that could not drain its outbox. */
const UNDRAINED_SWEEP_MS = 120_000;

const ENDED: Record<Session["status"], Ended> = { pending: 0, active: 0, expired: 1, failed: 2 };

/** What is known beside the session when it is shown. */
export interface ProjectionMoment {
  /** All events up to this version are on the queue. */
  announced: number;
  /** Unix milliseconds. */
  now: number;
  /** What else follows from the session in D1, in the same batch: only rows of other tables. */
  also?: readonly BatchItem<"sqlite">[];
}

/** Shows this state in D1, unless a later one is shown already. */
export async function projectSession(
  db: Database,
  session: Session,
  { announced, now, also = [] }: ProjectionMoment,
): Promise<void> {
  const ended = ENDED[session.status];
  const shown = {
    ended,
    endedAt: isFinal(session) ? session.endedAt : null,
    version: session.version,
    announced,
    sweepAt: sweepTime(session, announced, now),
    state: JSON.stringify(session),
  };
  const isNewer = sql`(${shown.version} > ${sessions.version} or (${shown.version} = ${sessions.version}
    and ${announced} > ${sessions.announced}))`;
  const liveRow = sql`exists (select 1 from ${sessions} where ${hasKey(session, 0)})`;
  const endedRow = sql`exists (select 1 from ${sessions} where ${hasKey(session, 1, 2)})`;
  const { source } = session;
  // The counts move in the transaction in which a row appears or a live one ends: they cannot drift.
  const appears = sql`(not ${liveRow} and not ${endedRow})`;
  const ends = source ? sql`(${liveRow} or not ${endedRow})` : liveRow;
  const live = ended ? sql`-${liveRow}` : sql`1`;
  const total = source ? sql`${appears}` : sql`0`;
  const count = db
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
  // An ended row sits under another key than a live one: the live one is moved there first, and a
  // late write of a live state must not appear beside it.
  const move = db
    .update(sessions)
    .set(shown)
    .where(and(hasKey(session, 0), isNewer));
  const upsert = db
    .insert(sessions)
    .select(
      sql`select ${session.organisationId}, ${session.kind}, ${ended}, ${session.createdAt},
        ${session.id}, ${shown.endedAt}, ${shown.version}, ${announced}, ${shown.sweepAt}, ${shown.state},
        ${source ? session.keyId : null}, ${source?.userId ?? null}, ${source?.sourceId ?? null}
        where ${ended ? sql`true` : sql`not ${endedRow}`}`,
    )
    .onConflictDoUpdate({
      target: [
        sessions.organisationId,
        sessions.kind,
        sessions.ended,
        sessions.createdAt,
        sessions.id,
      ],
      set: { version: shown.version, announced, state: shown.state },
      setWhere: isNewer,
    });
  // By itself, because naming an indexed column writes its index entry even where it stays the same.
  const reschedule = db
    .update(sessions)
    .set({ sweepAt: shown.sweepAt })
    .where(
      and(
        hasKey(session, ended),
        eq(sessions.version, session.version),
        eq(sessions.announced, announced),
        sql`${sessions.sweepAt} is not ${shown.sweepAt}`,
      ),
    );
  // Last, when the row says whether this state is the newest.
  const devices = projectDevices(db, session, ended);
  const connections = projectConnections(db, session, ended);
  const moves = ended ? [move] : [];
  const shows = [...also, ...devices, ...connections];
  await db.batch([count, ...moves, upsert, reschedule, ...shows]);
}

/** Shows which devices the session has; nothing to do for one that has none and never lost a user. */
function projectDevices(db: Database, session: Session, ended: Ended) {
  const ids = session.users.flatMap(({ deviceId }) => deviceId ?? []);
  if (ids.length === 0 && session.nextUser === session.users.length) return [];
  return deviceStatements(db, session, ended ? [] : ids, isNewest(session, ended));
}

/** Shows which connections the session has; nothing to do for one as above. */
function projectConnections(db: Database, session: Session, ended: Ended) {
  const ids = session.users.flatMap(({ connectionId }) => connectionId ?? []);
  if (ids.length === 0 && session.nextUser === session.users.length) return [];
  return connectionStatements(db, session, ended ? [] : ids, isNewest(session, ended));
}

/** That D1 shows this state, and no later one. */
function isNewest(session: Session, ended: Ended): SQL {
  return sql`exists (select 1 from ${sessions}
    where ${hasKey(session, ended)} and ${sessions.version} = ${session.version})`;
}

/** Up to which version the events of a session are known to be on the queue; null without a row. */
export async function findAnnounced(db: Database, key: SessionKey): Promise<number | null> {
  const rows = await db
    .select({ announced: sessions.announced })
    .from(sessions)
    .where(hasKey(key, 0, 1, 2))
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
