/** The sessions at which the sweep has to look now. `projection.ts` writes when that is. */
import { and, lte, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { sessions } from "../db/schema/sessions";
import { type Ended, keyColumns, type SessionKey } from "./session-key";

/** A session that the sweep has to look at. */
export type DueSession = SessionKey & {
  ended: Ended;
  sweepAt: number;
  /** Whether its connector is asked now and then if access still stands. */
  checked: boolean;
};

/** A page of the sessions that are due, those that have been due for longest first. */
export async function findDueSessions(
  db: Database,
  now: number,
  after: DueSession | null,
  limit: number,
): Promise<DueSession[]> {
  // The index has the columns in this order: its own, and then those of the primary key.
  const position = sql`(${sessions.sweepAt}, ${sessions.kind}, ${sessions.ended},
    ${sessions.organisationId}, ${sessions.createdAt}, ${sessions.id})`;
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
          : sql`${position} > (${after.sweepAt}, ${after.kind}, ${after.ended},
              ${after.organisationId}, ${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(
      sessions.sweepAt,
      sessions.kind,
      sessions.ended,
      sessions.organisationId,
      sessions.createdAt,
      sessions.id,
    )
    .limit(limit);
}
