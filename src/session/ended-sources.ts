/** Source sessions that have ended, as D1 keeps them: their objects are gone within an hour of their end. */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { sessions } from "../db/schema/sessions";
import type { Session } from "./session";
import type { SessionView } from "./session-calls";

/**
 * A source session that has ended, by its id. Null: there is none, or it is live.
 * @param organisationId null: of any organisation
 */
export async function findEndedSource(
  db: Database,
  organisationId: number | null,
  id: string,
): Promise<SessionView | null> {
  const rows = await db
    .select({ state: sessions.state, usedAt: sessions.usedAt })
    .from(sessions)
    // As the condition of the index has it.
    .where(sql`${sessions.id} = ${id} and source_id is not null and ended > 0`)
    .limit(1);
  const [row] = rows;
  if (!row) return null;
  const session: Session = JSON.parse(row.state);
  if (organisationId !== null && session.organisationId !== organisationId) return null;
  return { session, traffic: {}, usedAt: row.usedAt };
}
