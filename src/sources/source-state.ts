/** Writes what a session found out about its source. The projection of the session calls it. */
import { and, eq, inArray, lte, ne } from "drizzle-orm";
import type { Database } from "../db/open";
import { sources } from "../db/schema/sources";
import type { Session } from "../session/session";
import { sourceStateFrom } from "./source";

/**
 * The statement that gives a source the state that its session found out; none, if it found out nothing.
 * The newest session that found something out counts. A state that the organisation or an admin has set
 * is not changed.
 */
export function sourceStateUpdate(db: Database, session: Session) {
  const state = session.source ? sourceStateFrom(session) : null;
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
