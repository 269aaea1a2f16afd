/** By what a session's row in D1 is found: its primary key, which says also how the session ended. */
import { inArray, type SQL, sql } from "drizzle-orm";
import { sessions } from "../db/schema/sessions";
import type { Session } from "./session";

/** How a session ended, as its row's key says it: 0 not, 1 expired, 2 failed. */
export type Ended = 0 | 1 | 2;

/** The names of a row: all of a session that its primary key needs, none of which ever changes. */
export type SessionKey = Pick<Session, "organisationId" | "kind" | "createdAt" | "id">;

/** The columns of a `SessionKey`. */
export const keyColumns = {
  organisationId: sessions.organisationId,
  kind: sessions.kind,
  createdAt: sessions.createdAt,
  id: sessions.id,
};

/** The condition for a session's row that ended in one of these ways. There is never more than one. */
export function hasKey(key: SessionKey, ...ended: Ended[]): SQL {
  return sql`(${sessions.organisationId} = ${key.organisationId} and ${sessions.kind} = ${key.kind}
    and ${inArray(sessions.ended, ended)} and ${sessions.createdAt} = ${key.createdAt}
    and ${sessions.id} = ${key.id})`;
}
