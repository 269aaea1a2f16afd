/** The list of an organisation's live sessions, as D1 has them. */
import { and, desc, eq } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { sessionCounts, sessions } from "../db/schema/sessions";
import type { Session, SessionKind } from "./session";

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
  // A session whose time is over is gone for every reader, even while its alarm is late.
  const sessionsNow = live.filter((session) => session.expiresAt > query.now);
  return { sessions: sessionsNow, total: counts[0]?.live ?? 0 };
}
