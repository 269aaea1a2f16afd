/** Endings of requests that no operator decides: each is recorded and announced. */
import { sql } from "drizzle-orm";
import type { DeviceDeps } from "../devices/operator";
import type { DomainEvent } from "../events/event";
import { pairRequestEvent } from "./events";
import type { Outcome, PairRequest, PairRequestEventData } from "./request";
import { type Ending, findOver, hasEnded, requestEnding } from "./request-store";

/** An ending with the event that announces it. */
export interface EndingEvent {
  ending: Ending;
  event: DomainEvent<PairRequestEventData>;
}

/** How nobody decides. */
const BY_NOBODY = { decidedBy: null, decidedByEmail: null, granted: null, reason: null };

/** How a pending request ends, and what is announced of it. */
export function endingOf(
  request: PairRequest,
  status: Ending["status"],
  now: number,
  decided: Omit<Outcome, "at"> = BY_NOBODY,
): EndingEvent {
  const outcome = { at: status === "expired" ? request.expiresAt : now, ...decided };
  const ending = { request, status, outcome, claim: crypto.randomUUID() };
  return { ending, event: pairRequestEvent(status, { ...request, status, outcome }, now) };
}

/** Records a page of the requests whose time is over; returns how many there were. */
export async function expireRequests(
  { db, events }: Pick<DeviceDeps, "db" | "events">,
  now: number,
  limit: number,
): Promise<number> {
  const over = await findOver(db, now, limit);
  const endings = over.map((request) => endingOf(request, "expired", now));
  const [first, ...rest] = endings.flatMap(({ ending, event }) => [
    requestEnding(db, ending, sql`expires_at <= ${now}`),
    ...events.insertion([event], hasEnded(ending)),
  ]);
  if (!first) return 0;
  const answers = (await db.batch([first, ...rest])) as unknown[];
  // Three statements each; the first says whether it was this run that ended the request.
  const mine = endings.filter((_, i) => (answers[i * 3] as unknown[]).length > 0);
  if (mine.length > 0) events.announce(mine.map(({ event }) => event));
  return over.length;
}
