/** Endings of requests that no operator decides: each is recorded and announced. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { DeviceServices } from "../devices/operator";
import type { DomainEvent } from "../events/event";
import { pairRequestEvent } from "./pairing-events";
import type { PairRequest, PairRequestEventData, PairRequestOutcome } from "./pairing-request";
import {
  findExpiredRequests,
  hasRequestEnded,
  type RequestEnding,
  type RequestPosition,
  requestEndingUpdate,
} from "./request-store";

/** An ending with the event that announces it. */
export interface EndingWithEvent {
  ending: RequestEnding;
  event: DomainEvent<PairRequestEventData>;
}

/** How nobody decides. */
const BY_NOBODY = { decidedBy: null, decidedByEmail: null, granted: null, reason: null };

/** How a pending request ends, and what is announced of it. */
export function endingOf(
  request: PairRequest,
  status: RequestEnding["status"],
  now: number,
  decided: Omit<PairRequestOutcome, "at"> = BY_NOBODY,
): EndingWithEvent {
  const outcome = { at: status === "expired" ? request.expiresAt : now, ...decided };
  const ending = { request, status, outcome, claim: crypto.randomUUID() };
  return { ending, event: pairRequestEvent(status, { ...request, status, outcome }, now) };
}

/**
 * Records a page of the requests whose time is over.
 * @returns where the next page begins; null: there is none
 */
export async function expireRequests(
  { db, events }: Pick<DeviceServices, "db" | "events">,
  now: number,
  limit: number,
  after: RequestPosition | null = null,
): Promise<RequestPosition | null> {
  const over = await findExpiredRequests(db, now, { after, limit });
  const endings = over.map((request) => endingOf(request, "expired", now));
  // Each says whether it was this run that ended the request; its event is recorded only then.
  const { ended } = await runBatch(db, {
    ended: endings.map(({ ending }) => requestEndingUpdate(db, ending, sql`expires_at <= ${now}`)),
    events: endings.flatMap(({ ending, event }) =>
      events.insertion([event], hasRequestEnded(ending)),
    ),
  });
  const mine = endings.filter((_, i) => (ended[i] ?? []).length > 0);
  if (mine.length > 0) events.announce(mine.map(({ event }) => event));
  const last = over.at(-1);
  return last && over.length === limit ? { applicationId: last.applicationId, id: last.id } : null;
}
