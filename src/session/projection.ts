/**
 * The read model of sessions in D1. Written by the object after each change, by version: a duplicate
 * or late write changes nothing. `announced` doubles as the mark of the object's outbox: a row that
 * says so was written after the events up to that version had been put on the queue, so the object
 * needs no write of its own to remember it.
 */
import { and, desc, eq, inArray, lt, lte, type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import {
  connectionRemoval,
  connectionStatements,
  deviceRemoval,
  deviceStatements,
} from "./presence";
import { isFinal, type Session, type SessionKind } from "./session";
import { dueAt, expiringAt, nextCheckAt } from "./timing";

/** How long after its end is due the sweep looks for a session: the object's own alarm comes first. */
const SWEEP_GRACE_MS = 60_000;
/** How soon the sweep looks for an object that could not drain its outbox. */
const UNDRAINED_SWEEP_MS = 120_000;

/** How a session ended, as its row's key says it: 0 not, 1 expired, 2 failed. */
export type Ended = 0 | 1 | 2;

const ENDED: Record<Session["status"], Ended> = { pending: 0, active: 0, expired: 1, failed: 2 };

/** The names of a row: all of a session that its primary key needs, none of which ever changes. */
export type SessionKey = Pick<Session, "organisationId" | "kind" | "createdAt" | "id">;

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

/** A page of an organisation's live sessions, newest first, and how many there are in all. */
export async function listLiveSessions(
  db: Database,
  query: { organisationId: number; kind: SessionKind; offset: number; limit: number; now: number },
): Promise<{ sessions: Session[]; total: number }> {
  const { rows, counts } = await runBatch(db, {
    rows: db
      .select({ state: sessions.state })
      .from(sessions)
      .where(
        and(
          eq(sessions.organisationId, query.organisationId),
          eq(sessions.kind, query.kind),
          eq(sessions.ended, 0),
        ),
      )
      .orderBy(desc(sessions.createdAt), desc(sessions.id))
      .limit(query.limit)
      .offset(query.offset),
    counts: db
      .select({ live: sessionCounts.live })
      .from(sessionCounts)
      .where(
        and(
          eq(sessionCounts.organisationId, query.organisationId),
          eq(sessionCounts.kind, query.kind),
        ),
      ),
  });
  const live: Session[] = rows.map((row) => JSON.parse(row.state));
  // One whose time is over is gone for every reader, also while its alarm is late.
  const sessionsNow = live.filter((session) => session.expiresAt > query.now);
  return { sessions: sessionsNow, total: counts[0]?.live ?? 0 };
}

/** A session that the sweep has to look at. */
export type DueSession = SessionKey & {
  ended: Ended;
  sweepAt: number;
  /** Its connector is to be asked now and then whether it still stands. */
  checked: boolean;
};

/** A page of the sessions whose time to be swept has come, the longest due first. */
export async function findDueSessions(
  db: Database,
  now: number,
  after: DueSession | null,
  limit: number,
): Promise<DueSession[]> {
  const position = sql`(${sessions.sweepAt}, ${sessions.organisationId}, ${sessions.kind},
    ${sessions.ended}, ${sessions.createdAt}, ${sessions.id})`;
  return db
    .select({
      ...keyColumns,
      ended: sessions.ended,
      sweepAt: sql<number>`${sessions.sweepAt}`,
      checked: sql<boolean>`${sessions.state} ->> '$.source.checkSeconds' is not null`.mapWith(
        Boolean,
      ),
    })
    .from(sessions)
    .where(
      and(
        lte(sessions.sweepAt, now),
        after === null
          ? undefined
          : sql`${position} > (${after.sweepAt}, ${after.organisationId}, ${after.kind},
              ${after.ended}, ${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(
      sessions.sweepAt,
      sessions.organisationId,
      sessions.kind,
      sessions.ended,
      sessions.createdAt,
      sessions.id,
    )
    .limit(limit);
}

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
 * A page of the sessions that are to be removed. Rows are in order of creation, so what is read and
 * left are the sessions that lived at the cutoff.
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

const keyColumns = {
  organisationId: sessions.organisationId,
  kind: sessions.kind,
  createdAt: sessions.createdAt,
  id: sessions.id,
};

/** Its row where it ended in one of these ways; there is never more than one. */
function hasKey(key: SessionKey, ...ended: Ended[]): SQL {
  return sql`(${sessions.organisationId} = ${key.organisationId} and ${sessions.kind} = ${key.kind}
    and ${inArray(sessions.ended, ended)} and ${sessions.createdAt} = ${key.createdAt}
    and ${sessions.id} = ${key.id})`;
}

function sweepTime(session: Session, announced: number, now: number): number | null {
  if (announced < session.version) return now + UNDRAINED_SWEEP_MS;
  if (isFinal(session)) return null;
  const end = dueAt(session, null) + SWEEP_GRACE_MS;
  return Math.min(end, expiringAt(session) ?? end, nextCheckAt(session, now) ?? end);
}
