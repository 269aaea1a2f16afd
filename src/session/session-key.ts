/** By what a session's row in D1 is found: its primary key, which also says whether the session has ended. */
import { sessions } from "../db/schema/sessions";
import { isFinal, type Session, type SessionKind } from "./session";

/**
 * Whether a session has ended, as its row's key says it. 0: it is live. Of a source session 1: it has expired,
 * 2: it has failed. Of a relay session 1 to 8: in which ten minutes it ended, counted round and round. So
 * those that are to be removed are ranges of the table, and no row is read that has to stay.
 */
export type Ended = number;

const SLOT_MS = 600_000;
const SLOTS = 8;

/** All that `Ended` can be of a session of this kind that has ended. */
export const ENDED: Readonly<Record<SessionKind, readonly Ended[]>> = {
  relay: Array.from({ length: SLOTS }, (_, i) => i + 1),
  source: [1, 2],
};

/** What the key of a session's row says of its end. */
export function endedOf(session: Session): Ended {
  if (!isFinal(session)) return 0;
  if (session.kind === "relay") return slotOf(session.endedAt);
  return session.status === "expired" ? 1 : 2;
}

/**
 * The relay sessions whose rows may go: they ended at least ten minutes ago. Until then the row keeps a write
 * of their live state that comes late from bringing them back into the list. An object gives such a write up
 * after ten seconds, and D1 runs no query for longer than half a minute: ten minutes are twenty times that.
 * Not among them are the ten minutes to come, because clocks differ. A row that nobody could remove in its
 * time is found again 80 minutes later.
 * @param now Unix milliseconds
 */
export function endedToRemove(now: number): Ended[] {
  return [2, 3, 4, 5, 6].map((slots) => slotOf(now - slots * SLOT_MS));
}

/**
 * As what a session may have ended that was live when a write of that state was sent: three values, as many as
 * the fixed SQL has. Such a write comes half a minute later at most (see `endedToRemove`). Of a relay session
 * it is therefore the ten minutes of `now` or the next; and those before, because clocks differ.
 * @param now when the write is sent, Unix milliseconds
 */
export function mayHaveEndedAs(kind: SessionKind, now: number): [Ended, Ended, Ended] {
  if (kind === "source") return [1, 2, 2];
  return [slotOf(now - SLOT_MS), slotOf(now), slotOf(now + SLOT_MS)];
}

function slotOf(at: number): Ended {
  return 1 + (Math.floor(at / SLOT_MS) % SLOTS);
}

/** The names of a row: all of a session that its primary key needs, none of which ever changes. */
export type SessionKey = Pick<Session, "organisationId" | "kind" | "createdAt" | "id">;

/** The columns of a `SessionKey`. */
export const keyColumns = {
  organisationId: sessions.organisationId,
  kind: sessions.kind,
  createdAt: sessions.createdAt,
  id: sessions.id,
};
