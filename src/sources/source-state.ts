/** What sessions find out about their sources, kept with the projection of the session. */
import { and, eq, inArray, lte, ne } from "drizzle-orm";
import type { Database } from "../db/open";
import { sources } from "../db/schema/sources";
import type { Session } from "../session/session";
import { learnt } from "./source";

/**
 * The statement, if there is one, that gives a session's source the state that the session has found
 * out. The newest session that knows something counts; what the organisation or an admin has decided
 * stays.
 */
export function sourceLearning(db: Database, session: Session) {
  const state = session.source ? learnt(session) : null;
  if (state === null || !session.source) return [];
  return [
    db
      .update(sources)
      .set({ state, stateAt: session.createdAt })
      .where(
        and(
          eq(sources.organisationId, session.organisationId),
          eq(sources.id, session.source.sourceId),
          inArray(sources.state, ["unvalidated", "active", "locked"]),
          ne(sources.state, state),
          lte(sources.stateAt, session.createdAt),
        ),
      ),
  ];
}
