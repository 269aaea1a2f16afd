/**
 * The list of source sessions, out of their projection. Newest first, so that every way of having
 * ended is a range of the table, or of the index of what is asked for, and a page reads about as many
 * rows as it shows from each.
 *
 * With more than one filter the narrowest is looked up and the others are tested on its rows. What is
 * narrow is found out by reading at most `NARROW` index entries. Where none is, matches are dense
 * among the newest rows, as a rule: two wide filters that have little in common make it read on, and a
 * wide `date_expired` also reads the sessions that lived at its upper bound.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema";
import { decide, evolve, type Session } from "../session/machine";
import type { Ended } from "../session/projection";
import { endDue } from "../session/timing";
import { LONGEST_PENDING_MS } from "./connector";
import { type Page, toPage } from "./paging";

/** Half-open, Unix milliseconds; null: no bound. */
export interface TimeRange {
  from: number | null;
  until: number | null;
}

/** What a list of sessions can be narrowed to. */
export interface SessionFilter {
  keyId: number | null;
  userId: number | null;
  sourceId: number | null;
  /** Empty: any. */
  states: readonly Session["status"][];
  created: TimeRange;
  /** Other than with no bound: expired ones only. */
  expired: TimeRange;
}

/** A session's place in the list. */
export interface Position {
  createdAt: number;
  id: string;
}

/** A page to be read: what comes after one place and before another, from the newest. */
export interface SessionQuery {
  organisationId: number;
  filter: SessionFilter;
  after: Position | null;
  before: Position | null;
  limit: number;
  /** Unix milliseconds. */
  now: number;
}

/** A filter with at most so many sessions is narrow: they may all be read. A page may be as large. */
const NARROW = 1_000;

const STATES: Record<Ended, readonly Session["status"][]> = {
  0: ["pending", "active"],
  1: ["expired"],
  2: ["failed"],
};

/** Where the rows that match are looked up: in the table as it is clustered, or in an index. */
type Lane = { index: SQL | null; where: SQL };

/** A page of source sessions. */
export async function listSourceSessions(
  db: Database,
  query: SessionQuery,
): Promise<Page<Session>> {
  const { organisationId, filter, limit } = query;
  const lane = await pickLane(db, organisationId, filter);
  const ranges = endedStates(filter).map((ended) => {
    const from = lane.index ? sql`${sessions} indexed by ${lane.index}` : sql`${sessions}`;
    // Each range in its own order and with its own limit: none is read further than the page needs.
    return sql`select * from (select created_at, id, state from ${from}
      where organisation_id = ${organisationId} and kind = 'source' and ended = ${ended}
        and ${lane.where} and ${conditions(query, ended)}
      order by created_at desc, id desc limit ${limit + 1})`;
  });
  if (ranges.length === 0) return toPage([], query, null);
  const rows = await db.all<{ state: string }>(
    sql`select state from (${sql.join(ranges, sql` union all `)})
      order by created_at desc, id desc limit ${limit + 1}`,
  );
  const found = rows.map((row) => asOf(JSON.parse(row.state), query.now));
  const total = isUnfiltered(filter) ? await countSessions(db, organisationId) : null;
  return toPage(found, query, total);
}

/** The session at this moment, also where its end is due and not recorded yet. */
function asOf(session: Session, now: number): Session {
  const end = endDue(session, null, now);
  const decision = end ? decide(session, end, now) : null;
  return decision?.ok ? decision.events.reduce<Session>(evolve, session) : session;
}

async function countSessions(db: Database, organisationId: number): Promise<number> {
  const rows = await db
    .select({ total: sessionCounts.total })
    .from(sessionCounts)
    .where(sql`organisation_id = ${organisationId} and kind = 'source'`);
  return rows[0]?.total ?? 0;
}

/** In which ways the sessions that are asked for have ended. */
function endedStates({ states, expired }: SessionFilter): Ended[] {
  const wanted = ([0, 1, 2] as const).filter(
    (ended) => states.length === 0 || STATES[ended].some((state) => states.includes(state)),
  );
  return isBounded(expired) ? wanted.filter((ended) => ended === 1) : wanted;
}

/** All that a row must be. */
function conditions(query: SessionQuery, ended: Ended): SQL {
  const { filter, after, before, now } = query;
  const { states, keyId, userId, sourceId, expired } = filter;
  const live = STATES[0].filter((state) => states.includes(state));
  const onlyState = ended === 0 && live.length === 1 ? live[0] : null;
  const all = [
    inTime(sql`created_at`, creationRange(query, onlyState === "pending")),
    inTime(sql`ended_at`, expired),
  ];
  if (keyId !== null) all.push(sql`key_id = ${keyId}`);
  if (userId !== null) all.push(sql`user_id = ${userId}`);
  if (sourceId !== null) all.push(sql`source_id = ${sourceId}`);
  if (after) all.push(sql`(created_at < ${after.createdAt} or id < ${after.id})`);
  if (before) all.push(sql`(created_at > ${before.createdAt} or id > ${before.id})`);
  if (onlyState) {
    all.push(sql`state ->> 'status' = ${onlyState} and state ->> 'expiresAt' > ${now}`);
  }
  return sql.join(all, sql` and `);
}

/**
 * When what is asked for was made. One range, since SQLite looks up by one bound on either side and
 * tests all others row by row.
 */
function creationRange(query: SessionQuery, onlyPending: boolean): TimeRange {
  const { filter, after, before, now } = query;
  const froms = [
    filter.created.from,
    before?.createdAt ?? null,
    // None is pending for longer, though its row may say so for a moment.
    onlyPending ? now - LONGEST_PENDING_MS : null,
  ].filter((from) => from !== null);
  const untils = [
    filter.created.until,
    after ? after.createdAt + 1 : null,
    // What has expired was made before.
    filter.expired.until,
  ].filter((until) => until !== null);
  return {
    from: froms.length > 0 ? Math.max(...froms) : null,
    until: untils.length > 0 ? Math.min(...untils) : null,
  };
}

async function pickLane(
  db: Database,
  organisationId: number,
  filter: SessionFilter,
): Promise<Lane> {
  const lanes = indexedLanes(filter);
  const everything: Lane = { index: null, where: sql`true` };
  const [only] = lanes;
  if (!only) return everything;
  // By equality the index has the list's own order: alone, it is right however wide it is.
  if (lanes.length === 1 && !isBounded(filter.expired)) return only;
  const sizes = lanes.map(
    ({ index, where }) =>
      sql`(select count(*) from (select 1 from ${sessions} indexed by ${index}
        where organisation_id = ${organisationId} and ${where} limit ${NARROW + 1}))`,
  );
  const rows = await db.all<{ sizes: string }>(
    sql`select json_array(${sql.join(sizes, sql`, `)}) as sizes`,
  );
  const counts: number[] = JSON.parse(rows[0]?.sizes ?? "[]");
  const least = Math.min(...counts);
  if (least <= NARROW) return lanes[counts.indexOf(least)] ?? everything;
  return isBounded(filter.expired) && lanes.length === 1 ? everything : only;
}

/** The filters that an index has, the ones in the list's order first. */
function indexedLanes({ sourceId, userId, keyId, expired }: SessionFilter): Lane[] {
  const lanes: Lane[] = [];
  if (sourceId !== null) {
    lanes.push({ index: sql`sessions_by_source`, where: sql`source_id = ${sourceId}` });
  }
  if (userId !== null) {
    lanes.push({ index: sql`sessions_by_user`, where: sql`user_id = ${userId}` });
  }
  if (keyId !== null) lanes.push({ index: sql`sessions_by_key`, where: sql`key_id = ${keyId}` });
  if (isBounded(expired)) {
    const where = sql`source_id is not null and ended = 1 and ${inTime(sql`ended_at`, expired)}`;
    lanes.push({ index: sql`sessions_by_end`, where });
  }
  return lanes;
}

function isBounded({ from, until }: TimeRange): boolean {
  return from !== null || until !== null;
}

function isUnfiltered(filter: SessionFilter): boolean {
  const { keyId, userId, sourceId, states, created, expired } = filter;
  const narrowed = keyId !== null || userId !== null || sourceId !== null || states.length > 0;
  return !narrowed && !isBounded(created) && !isBounded(expired);
}

function inTime(column: SQL, { from, until }: TimeRange): SQL {
  const lower = from === null ? sql`true` : sql`${column} >= ${from}`;
  const upper = until === null ? sql`true` : sql`${column} < ${until}`;
  return sql`${lower} and ${upper}`;
}
