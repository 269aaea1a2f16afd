/** The list of an organisation's live sessions, as D1 has them, and what the sessions themselves add to it. */
import { and, asc, desc, eq, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { NumberedPages, type PageReading } from "../db/numbered-pages";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { withTimeout } from "../platform/wait";
import { findSessionRowsWithDevice } from "./connections-and-devices";
import { isFinal, type Session, type SessionKind } from "./session";
import type { SessionView } from "./session-calls";
import type { SessionClient } from "./session-client";

/** A session that takes longer to say its figures is listed without them. */
const FIGURES_WAIT_MS = 1_000;

/** Which page of the list. */
interface LivePageQuery {
  organisationId: number;
  kind: SessionKind;
  /** How many to skip. */
  offset: number;
  limit: number;
  /** Unix milliseconds. */
  now: number;
}

/** A page of live sessions, newest first, and how many the whole list has. */
export interface LivePage {
  sessions: Session[];
  total: number;
}

/** The order of the list. */
type LivePosition = Pick<Session, "createdAt" | "id">;

/** Where the pages end that this isolate has read. */
const pages = new NumberedPages<LivePosition>();

/** A page of an organisation's live sessions. Null: it is too deep in a list that is too long. */
export async function listLiveSessions(
  db: Database,
  query: LivePageQuery,
): Promise<LivePage | null> {
  const { organisationId, kind, now } = query;
  const counted = () =>
    db
      .select({ live: sessionCounts.live })
      .from(sessionCounts)
      .where(and(eq(sessionCounts.organisationId, organisationId), eq(sessionCounts.kind, kind)));
  const toTotal = ([count]: { live: number }[]) => count?.live ?? 0;
  const page = await pages.read(
    { ...query, list: `${organisationId}/${kind}` },
    {
      count: async () => toTotal(await counted()),
      keyOf: ({ createdAt, id }: Session) => ({ createdAt, id }),
      async read(reading) {
        const { rows, counts } = await runBatch(db, {
          rows: selectLive(db, query, reading),
          counts: counted(),
        });
        const inOrder = reading.fromEnd ? rows.reverse() : rows;
        return { rows: inOrder.map(toSession), total: toTotal(counts) };
      },
    },
  );
  return page && { sessions: page.rows.filter(isLive(now)), total: page.total };
}

/**
 * A page of the live sessions in which this device is a user. D1 reads the places of all of them, and the
 * rows of the page.
 */
export async function listLiveSessionsWithDevice(
  db: Database,
  deviceId: string,
  { organisationId, kind, offset, limit, now }: LivePageQuery,
): Promise<LivePage> {
  const found = await findSessionRowsWithDevice(db, organisationId, deviceId);
  const places = found.slice(offset, offset + limit);
  if (places.length === 0) return { sessions: [], total: found.length };
  // `cross join`: SQLite goes through the places in their order, and finds each row by its key.
  const rows = await db.all<{ state: string }>(sql`select s.state
    from json_each(${JSON.stringify(places)}) place cross join ${sessions} s
      on s.kind = ${kind} and s.ended = 0 and s.organisation_id = ${organisationId}
        and s.created_at = place.value ->> 'createdAt' and s.id = place.value ->> 'id'`);
  return { sessions: rows.map(toSession).filter(isLive(now)), total: found.length };
}

/** A session of a list. `traffic` null: it was not asked, or did not say. */
export type ListedSession = Pick<SessionView, "session" | "traffic">;

/**
 * The sessions of a page as they say themselves, with the figures of their sockets. All are asked at once.
 * It does not count as use. A session that has ended, or does not say within a second, stays as it is in
 * D1, without figures.
 */
export function askForTraffic(
  client: SessionClient,
  listed: readonly Session[],
): Promise<ListedSession[]> {
  return Promise.all(
    listed.map(async (session) => {
      const asking = client.peek(session.organisationId, session.id);
      const view = await withTimeout(FIGURES_WAIT_MS, asking).catch(() => null);
      return view?.ok && !isFinal(view.session) ? view : { session, traffic: null };
    }),
  );
}

/** The statement that reads a page of live sessions. */
function selectLive(
  db: Database,
  { organisationId, kind }: LivePageQuery,
  { after, fromEnd, skip, limit }: PageReading<LivePosition>,
) {
  const { createdAt, id } = sessions;
  const order = fromEnd ? asc : desc;
  return db
    .select({ state: sessions.state })
    .from(sessions)
    .where(
      and(
        eq(sessions.organisationId, organisationId),
        eq(sessions.kind, kind),
        eq(sessions.ended, 0),
        after === null ? undefined : sql`(${createdAt}, ${id}) < (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(order(createdAt), order(id))
    .limit(limit)
    .offset(skip);
}

function toSession({ state }: { state: string }): Session {
  return JSON.parse(state);
}

/** A session whose time is over is gone for every reader, even while its alarm is late. */
function isLive(now: number): (session: Session) => boolean {
  return ({ expiresAt }) => expiresAt > now;
}
