/** Ends pending requests: builds the ending with its event, and expires requests whose time is over. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { DeviceServices } from "../devices/device-services";
import type { DomainEvent } from "../events/event";
import { pairingRequestEvent } from "./pairing-events";
import type {
  PairingRequest,
  PairingRequestEventData,
  PairingRequestOutcome,
} from "./pairing-request";
import {
  findExpiredRequests,
  hasRequestEnded,
  type RequestEnding,
  type RequestPosition,
  requestEndingUpdate,
} from "./request-store";

/** An ending, and the event that tells of it. */
export interface EndingWithEvent {
  ending: RequestEnding;
  event: DomainEvent<PairingRequestEventData>;
}

/** The decision of a request that ends although nobody has decided it. */
const NO_DECISION = { decidedBy: null, decidedByEmail: null, granted: null, reason: null };

/** The ending of a pending request, with its event. Nothing is written here. */
export function endingOf(
  request: PairingRequest,
  status: RequestEnding["status"],
  now: number,
  decision: Omit<PairingRequestOutcome, "at"> = NO_DECISION,
): EndingWithEvent {
  const outcome = { at: status === "expired" ? request.expiresAt : now, ...decision };
  const ending = { request, status, outcome, claim: crypto.randomUUID() };
  return { ending, event: pairingRequestEvent(status, { ...request, status, outcome }, now) };
}

/**
 * Records that a page of requests has expired. The sweep calls it.
 * @param page `after`: the position that the page before has returned; null: the first page is wanted
 * @returns the position for the next page; null: this was the last one
 */
export async function expireRequests(
  { db, events }: Pick<DeviceServices, "db" | "events">,
  { after, limit }: { after: RequestPosition | null; limit: number },
  now: number,
): Promise<RequestPosition | null> {
  const expired = await findExpiredRequests(db, now, { after, limit });
  const endings = expired.map((request) => endingOf(request, "expired", now));
  // Another run or a decision may end a request first. Each event is recorded only if this run ended
  // its request.
  const { ended } = await runBatch(db, {
    ended: endings.map(({ ending }) => requestEndingUpdate(db, ending, sql`expires_at <= ${now}`)),
    events: endings.flatMap(({ ending, event }) =>
      events.insertion([event], hasRequestEnded(ending)),
    ),
  });
  const own = endings.filter((_, i) => (ended[i] ?? []).length > 0);
  if (own.length > 0) events.sendAfterAnswer(own.map(({ event }) => event));
  const last = expired.at(-1);
  return last && expired.length === limit
    ? { applicationId: last.applicationId, id: last.id }
    : null;
}
