/**
 * The list of source sessions, out of their projection. Newest first, so that every way of having
 * ended is a range of the table, or of the index of what is asked for, and a page reads about as many
 * rows as it shows from each.
 *
 * With more than one filter the narrowest is looked up and the others are tested on its rows. What is
 * narrow is found out by reading at most 1,000 index entries. Where none is, matches are dense
 * among the newest rows, as a rule. Where they are not (two wide filters that have little in common; a
 * wide `date_expired`, while many sessions lived at its upper bound), a page ends after `SCANNED_ROWS` rows of
 * each range, short or empty, and says where the next one begins.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { SCANNED_ROWS } from "../db/scan";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { decide, evolve } from "../session/machine";
import type { Session } from "../session/session";
import type { Ended } from "../session/session-key";
import { endDue } from "../session/timing";
import { LONGEST_PENDING_MS } from "./connector";
import { type Page, toPage } from "./id-paging";
import { findNarrowest } from "./narrowest-filter";
import { findSources } from "./source-store";

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

/** A page that may have ended before it was full. */
export interface SessionPage extends Page<Session> {
  /** The last session that was looked at, where that ended the page: the next one begins behind it. */
  stoppedAt: Position | null;
}

const STATES: Record<Ended, readonly Session["status"][]> = {
  0: ["pending", "active"],
  1: ["expired"],
  2: ["failed"],
};

/** Where the rows that match are looked up: in the table as it is clustered, or in an index. */
interface Lane {
  index: SQL | null;
  where: SQL;
  /** What is left to be tested on its rows. */
  rest: SessionFilter;
}

/** The test that every row passes. */
const EVERY = sql`true`;

/** A page of source sessions. */
export async function listSourceSessions(db: Database, asked: SessionQuery): Promise<SessionPage> {
  const { organisationId, limit } = asked;
  const filter = await withoutUser(db, organisationId, asked.filter);
  const states = filter ? endedStates(filter) : [];
  if (!filter || states.length === 0) return { ...toPage([], asked, null), stoppedAt: null };
  const query = { ...asked, filter };
  const lane = await pickLane(db, organisationId, filter);
  const from = lane.index ? sql`${sessions} indexed by ${lane.index}` : sql`${sessions}`;
  const range = (ended: Ended) => sql`from ${from} where organisation_id = ${organisationId}
    and kind = 'source' and ended = ${ended} and ${lane.where} and ${place(query, ended)}
    order by created_at desc, id desc`;
  const size = sql.raw(String(limit + 1));
  const name = (ended: Ended) => sql.raw(`range_${ended}`);
  // Each range in its own order: it is read until the page is full, or to the last row that may be.
  const found = states.map(
    (ended) => sql`${name(ended)} as (select created_at, id, state
      from (select created_at, id, state, ${tests(lane.rest, ended, query.now)} as fits
        ${range(ended)} limit ${SCANNED_ROWS}) where fits limit ${size})`,
  );
  // Which row that was: looked up only where the page was not full by then.
  const ends = states.map(
    (ended) => sql`select * from (select created_at, id, null as state ${range(ended)}
      limit (select count(*) < ${size} from ${name(ended)}) offset ${SCANNED_ROWS - 1})`,
  );
  const isTested = states.some((ended) => tests(lane.rest, ended, query.now) !== EVERY);
  const tables = states.map((ended) => sql`select * from ${name(ended)}`);
  const scanned = isTested ? [...tables, sql`select * from ends`] : tables;
  const rows = await db.all<ScannedRow>(
    sql`with ${sql.join(found, sql`, `)}, ends as materialized (${sql.join(ends, sql` union all `)})
      select * from (${sql.join(scanned, sql` union all `)})
      order by created_at desc, id desc, state is null limit ${size} + ${states.length}`,
  );
  const last = rows.findIndex(({ state }) => state === null);
  // What is older than the end of a range may have newer ones behind that end.
  const seen = last === -1 ? rows : rows.slice(0, last);
  const shown = seen.flatMap(({ state }) => (state ? asOf(JSON.parse(state), asked.now) : []));
  const total = isUnfiltered(filter) ? await countSessions(db, organisationId) : null;
  const page = toPage(shown, asked, total);
  const end = rows[last];
  if (page.hasMore || !end) return { ...page, stoppedAt: null };
  return { ...page, hasMore: true, total, stoppedAt: { createdAt: end.created_at, id: end.id } };
}

/** A session that is asked for; without its state the last one of its range that was looked at. */
interface ScannedRow {
  created_at: number;
  id: string;
  state: string | null;
}

/**
 * The filter, without a user who says no more than the source does: a source is one user's for good.
 * Null where the source is not the user's, who then has no session of it.
 */
async function withoutUser(
  db: Database,
  organisationId: number,
  filter: SessionFilter,
): Promise<SessionFilter | null> {
  const { userId, sourceId } = filter;
  if (userId === null || sourceId === null) return filter;
  const source = (await findSources(db, organisationId, [sourceId])).get(sourceId);
  return source?.userId === userId ? { ...filter, userId: null } : null;
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

/** The stretch of the list in which a row must be. */
function place(query: SessionQuery, ended: Ended): SQL {
  const { after, before } = query;
  const range = creationRange(query, liveState(query.filter, ended) === "pending");
  const all = [inTime(sql`created_at`, range)];
  if (after) all.push(sql`(created_at < ${after.createdAt} or id < ${after.id})`);
  if (before) all.push(sql`(created_at > ${before.createdAt} or id > ${before.id})`);
  return sql.join(all, sql` and `);
}

/** What a row there must be besides. */
function tests(filter: SessionFilter, ended: Ended, now: number): SQL {
  const { keyId, userId, sourceId, expired } = filter;
  const all: SQL[] = [];
  if (isBounded(expired)) all.push(inTime(sql`ended_at`, expired));
  if (keyId !== null) all.push(sql`key_id = ${keyId}`);
  if (userId !== null) all.push(sql`user_id = ${userId}`);
  if (sourceId !== null) all.push(sql`source_id = ${sourceId}`);
  const state = liveState(filter, ended);
  if (state) all.push(sql`state ->> 'status' = ${state} and state ->> 'expiresAt' > ${now}`);
  return all.length === 0 ? EVERY : sql`(${sql.join(all, sql` and `)})`;
}

/** Which one of the states of those that live is asked for; null: both, or they are not those. */
function liveState({ states }: SessionFilter, ended: Ended): Session["status"] | null {
  const live = STATES[0].filter((state) => states.includes(state));
  return ended === 0 && live.length === 1 ? (live[0] ?? null) : null;
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
  const everything: Lane = { index: null, where: sql`true`, rest: filter };
  const [only] = lanes;
  if (!only) return everything;
  // By equality the index has the list's own order: alone, it is right however wide it is.
  if (lanes.length === 1 && !isBounded(filter.expired)) return only;
  const narrow = await findNarrowest(
    db,
    lanes.map(
      ({ index, where }) =>
        sql`from ${sessions} indexed by ${index} where organisation_id = ${organisationId} and ${where}`,
    ),
  );
  if (narrow !== null) return lanes[narrow] ?? everything;
  return isBounded(filter.expired) && lanes.length === 1 ? everything : only;
}

/** The filters that an index has, the ones in the list's order first. */
function indexedLanes(filter: SessionFilter): Lane[] {
  const { sourceId, userId, keyId, expired } = filter;
  const lanes: Lane[] = [];
  const add = (index: SQL, where: SQL, done: Partial<SessionFilter>) =>
    lanes.push({ index, where, rest: { ...filter, ...done } });
  if (sourceId !== null) {
    add(sql`sessions_by_source`, sql`source_id = ${sourceId}`, { sourceId: null });
  }
  if (userId !== null) add(sql`sessions_by_user`, sql`user_id = ${userId}`, { userId: null });
  if (keyId !== null) add(sql`sessions_by_key`, sql`key_id = ${keyId}`, { keyId: null });
  if (isBounded(expired)) {
    const where = sql`source_id is not null and ended = 1 and ${inTime(sql`ended_at`, expired)}`;
    add(sql`sessions_by_end`, where, { expired: { from: null, until: null } });
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
