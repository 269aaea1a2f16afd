/** Ends pending requests: builds the ending with its event, and expires requests whose time is over. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { DeviceServices } from "../devices/device-services";
import type { DomainEvent } from "../events/event";
import { pairingRequestEvent } from "./pairing-events";
import {
  isExpired,
  type PairingRequest,
  type PairingRequestEventData,
  type PairingRequestOutcome,
} from "./pairing-request";
import {
  findDueRequests,
  hasRequestEnded,
  type RequestEnding,
  requestEndingUpdate,
  requestPostponement,
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
 * Looks at a page of the requests that are due: records that they have expired, unless they were refreshed. The
 * sweep calls it.
 * @returns how many it looked at
 */
export async function expireRequests(
  { db, events }: Pick<DeviceServices, "db" | "events">,
  limit: number,
  now: number,
): Promise<number> {
  const due = await findDueRequests(db, now, limit);
  if (due.length === 0) return 0;
  const refreshed = due.filter((request) => !isExpired(request, now));
  const endings = due
    .filter((request) => isExpired(request, now))
    .map((request) => endingOf(request, "expired", now));
  // Another run or a decision may end a request first. Each event is recorded only if this run ended
  // its request.
  const { ended } = await runBatch(db, {
    ended: endings.map(({ ending }) => requestEndingUpdate(db, ending, sql`expires_at <= ${now}`)),
    events: endings.flatMap(({ ending, event }) =>
      events.insertion([event], hasRequestEnded(ending)),
    ),
    postponed: refreshed.length > 0 ? [requestPostponement(db, refreshed)] : [],
  });
  const own = endings.filter((_, i) => (ended[i] ?? []).length > 0);
  if (own.length > 0) events.sendAfterAnswer(own.map(({ event }) => event));
  return due.length;
}
