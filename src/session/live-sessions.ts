/** The list of an organisation's live sessions, as D1 has them, and what the sessions themselves add to it. */
import { and, desc, eq, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import { withTimeout } from "../platform/wait";
import { findSessionsWithDevice } from "./connections-and-devices";
import { isFinal, type Session, type SessionKind } from "./session";
import type { SessionView } from "./session-calls";
import type { SessionClient } from "./session-client";

/** A session that takes longer to say its figures is listed without them. */
const FIGURES_WAIT_MS = 1_000;

/** Which page of the list. */
interface LivePageQuery {
  organisationId: number;
  kind: SessionKind;
  /** How many to skip. D1 reads each of them. */
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

/** A page of an organisation's live sessions. */
export async function listLiveSessions(db: Database, query: LivePageQuery): Promise<LivePage> {
  const { rows, counts } = await runBatch(db, {
    rows: selectLive(db, query),
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
  return { sessions: toSessions(rows, query), total: counts[0]?.live ?? 0 };
}

/**
 * A page of the live sessions in which this device is a user. If there are any, D1 goes through the live
 * sessions of the organisation: an index from a session's id to its row would cost a row for each session.
 */
export async function listLiveSessionsWithDevice(
  db: Database,
  deviceId: string,
  query: LivePageQuery,
): Promise<LivePage> {
  const ids = await findSessionsWithDevice(db, query.organisationId, deviceId);
  const rows = ids.length === 0 ? [] : await selectLive(db, query, ids);
  return { sessions: toSessions(rows, query), total: ids.length };
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

/** The statement that reads a page of live sessions; with `ids`, of those. */
function selectLive(db: Database, query: LivePageQuery, ids?: readonly string[]) {
  return db
    .select({ state: sessions.state })
    .from(sessions)
    .where(
      and(
        eq(sessions.organisationId, query.organisationId),
        eq(sessions.kind, query.kind),
        eq(sessions.ended, 0),
        ids && sql`${sessions.id} in (select value from json_each(${JSON.stringify(ids)}))`,
      ),
    )
    .orderBy(desc(sessions.createdAt), desc(sessions.id))
    .limit(query.limit)
    .offset(query.offset);
}

function toSessions(rows: readonly { state: string }[], { now }: LivePageQuery): Session[] {
  const live: Session[] = rows.map(({ state }) => JSON.parse(state));
  // A session whose time is over is gone for every reader, even while its alarm is late.
  return live.filter(({ expiresAt }) => expiresAt > now);
}
