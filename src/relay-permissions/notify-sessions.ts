/**
 * Tells live relay sessions that permissions between their connections have changed. Called after each
 * change that is stored.
 */
import type { Database } from "../db/open";
import { describeError, log } from "../platform/log";
import { sideBySide } from "../platform/side-by-side";
import { findSessionsWithConnections } from "../session/connections-and-devices";
import type { SessionClient } from "../session/session-client";

/** Sessions read with one query. */
const SESSIONS_PER_PAGE = 500;
/** 100,000 sessions. A session beyond that finds out when what it has read is too old and is read again. */
const MAX_PAGES = 200;
/** Sessions told side by side. */
const AT_ONCE = 50;

/** One connection, or two: then only sessions that have users with both are told. */
export type ConcernedConnections = readonly [string, string?];

/**
 * Tells every live session of the organisation whose users have these connections. A session that cannot
 * be told is logged, and the others are told.
 */
export async function notifySessions(
  { db, sessions }: { db: Database; sessions: SessionClient },
  organisationId: number,
  connections: ConcernedConnections,
): Promise<void> {
  let after: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const range = { after, limit: SESSIONS_PER_PAGE };
    const ids: string[] = await findSessionsWithConnections(db, organisationId, connections, range);
    const told = await sideBySide(ids, AT_ONCE, (id) =>
      sessions.permissionsChanged(organisationId, id),
    );
    for (const one of told) {
      if (one.status === "rejected")
        log("live session not told", { error: describeError(one.reason) });
    }
    if (ids.length < SESSIONS_PER_PAGE) return;
    after = ids.at(-1) ?? null;
  }
  log("too many live sessions to tell all", { organisationId });
}
