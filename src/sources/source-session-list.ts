/**
 * The list of source sessions, newest first. It reads the table that the projection writes.
 *
 * The rows of each value of `ended` (live, expired, failed) are a range of the table and of each index. A
 * page reads from each range about as many rows as it shows, and merges them.
 *
 * With several filters, the index of the narrowest one is used, and the others are tested on its rows. To
 * find it, at most 1,000 entries of each index are read. If no filter is narrow, then usually many of the
 * newest rows match. Sometimes they do not: two wide filters that have few sessions in common, or a wide
 * `date_expired` at whose upper bound many sessions were live. A page then ends after `SCANNED_ROWS` rows
 * of each range, short or empty, and says where the next page begins.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { SCANNED_ROWS } from "../db/scan";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { evolve } from "../session/evolve";
import { decide } from "../session/machine";
import type { Session } from "../session/session";
import { endDue } from "../session/timing";
import { LONGEST_PENDING_MS } from "./connector";
import { type CountedPage, toCountedPage } from "./id-paging";
import { findNarrowest } from "./narrowest-filter";
import { findSources } from "./source-store";

/** Half-open, Unix milliseconds; null: no bound. */
export interface TimeRange {
  from: number | null;
  until: number | null;
}

/** The filters of the list. */
export interface SessionFilter {
  keyId: number | null;
  userId: number | null;
  sourceId: number | null;
  /** Empty: any. */
  states: readonly Session["status"][];
  created: TimeRange;
  /** With a bound, only expired sessions match. */
  expired: TimeRange;
}

/** A session's place in the list. */
export interface Position {
  createdAt: number;
  id: string;
}

/** Which page: behind the session `after`, and in front of the session `before`, newest first. */
export interface SessionQuery {
  organisationId: number;
  filter: SessionFilter;
  after: Position | null;
  before: Position | null;
  limit: number;
  /** Unix milliseconds. */
  now: number;
}

/** A page that may end before it is full. */
export interface SessionPage extends CountedPage<Session> {
  /** The last session that was read, if the page ended there; the next page begins behind it. */
  stoppedAt: Position | null;
}

/** `ended` of a source session's row. */
type Ended = 0 | 1 | 2;

const STATES: Record<Ended, readonly Session["status"][]> = {
  0: ["pending", "active"],
  1: ["expired"],
  2: ["failed"],
};

/** Where the rows are looked up. */
interface Lookup {
  /** Null: in the table itself. */
  index: SQL | null;
  where: SQL;
  /** The filters that are left to be tested on the rows. */
  rest: SessionFilter;
}

/** A test that every row passes. */
const EVERY = sql`true`;

/** A page of source sessions. */
export async function listSourceSessions(
  db: Database,
  requested: SessionQuery,
): Promise<SessionPage> {
  const { organisationId, limit } = requested;
  const filter = await withoutUser(db, organisationId, requested.filter);
  const states = filter ? endedStates(filter) : [];
  if (!filter || states.length === 0)
    return { ...toCountedPage([], requested, null), stoppedAt: null };
  const query = { ...requested, filter };
  const lookup = await pickLookup(db, organisationId, filter);
  const from = lookup.index ? sql`${sessions} indexed by ${lookup.index}` : sql`${sessions}`;
  const range = (ended: Ended) => sql`from ${from} where organisation_id = ${organisationId}
    and kind = 'source' and ended = ${ended} and ${lookup.where} and ${inPagePart(query, ended)}
    order by created_at desc, id desc`;
  const size = sql.raw(String(limit + 1));
  const name = (ended: Ended) => sql.raw(`range_${ended}`);
  // Each range is read until the page is full, or to the last row that may be read.
  const found = states.map(
    (ended) => sql`${name(ended)} as (select created_at, id, state
      from (select created_at, id, state, ${tests(lookup.rest, ended, query.now)} as fits
        ${range(ended)} limit ${SCANNED_ROWS}) where fits limit ${size})`,
  );
  // That last row, which is looked up only if the page was not full by then.
  const ends = states.map(
    (ended) => sql`select * from (select created_at, id, null as state ${range(ended)}
      limit (select count(*) < ${size} from ${name(ended)}) offset ${SCANNED_ROWS - 1})`,
  );
  const isTested = states.some((ended) => tests(lookup.rest, ended, query.now) !== EVERY);
  const tables = states.map((ended) => sql`select * from ${name(ended)}`);
  const scanned = isTested ? [...tables, sql`select * from ends`] : tables;
  const rows = await db.all<ScannedRow>(
    sql`with ${sql.join(found, sql`, `)}, ends as materialized (${sql.join(ends, sql` union all `)})
      select * from (${sql.join(scanned, sql` union all `)})
      order by created_at desc, id desc, state is null limit ${size} + ${states.length}`,
  );
  const last = rows.findIndex(({ state }) => state === null);
  // Behind the end of a range there may be sessions newer than those below: they are left for the next page.
  const seen = last === -1 ? rows : rows.slice(0, last);
  const shown = seen.flatMap(({ state }) =>
    state ? sessionAt(JSON.parse(state), requested.now) : [],
  );
  const total = isUnfiltered(filter) ? await countSessions(db, organisationId) : null;
  const page = toCountedPage(shown, requested, total);
  const end = rows[last];
  if (page.hasMore || !end) return { ...page, stoppedAt: null };
  return { ...page, hasMore: true, total, stoppedAt: { createdAt: end.created_at, id: end.id } };
}

/** A session that matches; or, without its state, the last row that was read of its range. */
interface ScannedRow {
  created_at: number;
  id: string;
  state: string | null;
}

/**
 * The filter without its user, if it also has a source: a source belongs to one user for ever. Null where
 * the source is not that user's, so that no session matches.
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

/** The session as it is now: it is shown as ended if its end is due, even if that is not recorded yet. */
function sessionAt(session: Session, now: number): Session {
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

/** The values of `ended` that sessions which match can have. */
function endedStates({ states, expired }: SessionFilter): Ended[] {
  const wanted = ([0, 1, 2] as const).filter(
    (ended) => states.length === 0 || STATES[ended].some((state) => states.includes(state)),
  );
  return hasBound(expired) ? wanted.filter((ended) => ended === 1) : wanted;
}

/** The condition that a row is in the part of the list that this page is from. */
function inPagePart(query: SessionQuery, ended: Ended): SQL {
  const { after, before } = query;
  const range = creationRange(query, liveState(query.filter, ended) === "pending");
  const all = [inTime(sql`created_at`, range)];
  if (after) all.push(sql`(created_at < ${after.createdAt} or id < ${after.id})`);
  if (before) all.push(sql`(created_at > ${before.createdAt} or id > ${before.id})`);
  return sql.join(all, sql` and `);
}

/** The filters that are tested on each row. */
function tests(filter: SessionFilter, ended: Ended, now: number): SQL {
  const { keyId, userId, sourceId, expired } = filter;
  const all: SQL[] = [];
  if (hasBound(expired)) all.push(inTime(sql`ended_at`, expired));
  if (keyId !== null) all.push(sql`key_id = ${keyId}`);
  if (userId !== null) all.push(sql`user_id = ${userId}`);
  if (sourceId !== null) all.push(sql`source_id = ${sourceId}`);
  const state = liveState(filter, ended);
  if (state) all.push(sql`state ->> 'status' = ${state} and state ->> 'expiresAt' > ${now}`);
  return all.length === 0 ? EVERY : sql`(${sql.join(all, sql` and `)})`;
}

/** The one state of live sessions that matches; null: both match, or these sessions have ended. */
function liveState({ states }: SessionFilter, ended: Ended): Session["status"] | null {
  const live = STATES[0].filter((state) => states.includes(state));
  return ended === 0 && live.length === 1 ? (live[0] ?? null) : null;
}

/**
 * When sessions that match were made. It is one range, since SQLite looks up by one bound on either side
 * and tests all others row by row.
 */
function creationRange(query: SessionQuery, onlyPending: boolean): TimeRange {
  const { filter, after, before, now } = query;
  const froms = [
    filter.created.from,
    before?.createdAt ?? null,
    // No session is pending for longer, though its row may say so for a moment.
    onlyPending ? now - LONGEST_PENDING_MS : null,
  ].filter((from) => from !== null);
  const untils = [
    filter.created.until,
    after ? after.createdAt + 1 : null,
    // A session is made before it expires.
    filter.expired.until,
  ].filter((until) => until !== null);
  return {
    from: froms.length > 0 ? Math.max(...froms) : null,
    until: untils.length > 0 ? Math.min(...untils) : null,
  };
}

async function pickLookup(
  db: Database,
  organisationId: number,
  filter: SessionFilter,
): Promise<Lookup> {
  const lookups = indexedLookups(filter);
  const everything: Lookup = { index: null, where: sql`true`, rest: filter };
  const [only] = lookups;
  if (!only) return everything;
  // Under one value, an index has the order of the list. If it is the only one, it is used however wide it is.
  if (lookups.length === 1 && !hasBound(filter.expired)) return only;
  const narrow = await findNarrowest(
    db,
    lookups.map(
      ({ index, where }) =>
        sql`from ${sessions} indexed by ${index} where organisation_id = ${organisationId} and ${where}`,
    ),
  );
  if (narrow !== null) return lookups[narrow] ?? everything;
  return hasBound(filter.expired) && lookups.length === 1 ? everything : only;
}

/** The filters that have an index. Those whose index has the order of the list come first. */
function indexedLookups(filter: SessionFilter): Lookup[] {
  const { sourceId, userId, keyId, expired } = filter;
  const lookups: Lookup[] = [];
  const add = (index: SQL, where: SQL, done: Partial<SessionFilter>) =>
    lookups.push({ index, where, rest: { ...filter, ...done } });
  if (sourceId !== null) {
    add(sql`sessions_by_source`, sql`source_id = ${sourceId}`, { sourceId: null });
  }
  if (userId !== null) add(sql`sessions_by_user`, sql`user_id = ${userId}`, { userId: null });
  if (keyId !== null) add(sql`sessions_by_key`, sql`key_id = ${keyId}`, { keyId: null });
  if (hasBound(expired)) {
    const where = sql`source_id is not null and ended = 1 and ${inTime(sql`ended_at`, expired)}`;
    add(sql`sessions_by_end`, where, { expired: { from: null, until: null } });
  }
  return lookups;
}

function hasBound({ from, until }: TimeRange): boolean {
  return from !== null || until !== null;
}

function isUnfiltered(filter: SessionFilter): boolean {
  const { keyId, userId, sourceId, states, created, expired } = filter;
  const narrowed = keyId !== null || userId !== null || sourceId !== null || states.length > 0;
  return !narrowed && !hasBound(created) && !hasBound(expired);
}

function inTime(column: SQL, { from, until }: TimeRange): SQL {
  const lower = from === null ? sql`true` : sql`${column} >= ${from}`;
  const upper = until === null ? sql`true` : sql`${column} < ${until}`;
  return sql`${lower} and ${upper}`;
}
