/** What attempts tell of their endpoint, and when it is disabled for that. */
import type { ChangeStore } from "../events/event-outbox";
import type { SentAttempt } from "./delivery-attempt";
import type { WebhookEndpoint } from "./endpoint";
import { disableEndpoint } from "./endpoint-changes";
import { setFailingSince } from "./endpoint-store";

/** An endpoint that nothing has reached for so long is disabled: 5 days. */
export const FAILING_MS = 5 * 86_400_000;

/** By this status a receiver says that it wants nothing more. */
const GONE = 410;

/** Whether a receiver wants nothing more: further attempts would be of no use. */
export function isGone({ attempt }: SentAttempt): boolean {
  return attempt.statusCode === GONE;
}

/**
 * Notes what an attempt tells of its endpoint. One that is well costs no row; the first failure costs
 * one, and so does the first success after it. A delivery for which this was the last attempt shows
 * whether the endpoint has failed for too long: none that a single bad moment caught is disabled.
 */
export async function updateEndpointHealth(
  deps: ChangeStore,
  endpoint: WebhookEndpoint,
  outcome: SentAttempt,
  isLast: boolean,
): Promise<void> {
  const now = Date.now();
  // What another address has said in the meantime is not known: this is about the one that was asked.
  const isSame = ({ url }: WebhookEndpoint) => url === endpoint.url;
  const { organisationId, id, failingSince } = endpoint;
  if (outcome.succeeded) {
    if (failingSince !== null) await setFailingSince(deps.db, endpoint, null);
    return;
  }
  if (isGone(outcome)) {
    await disableEndpoint(deps, organisationId, id, "gone", now, isSame);
    return;
  }
  if (failingSince === null) {
    await setFailingSince(deps.db, endpoint, now);
  } else if (isLast && hasFailedLong(endpoint, now)) {
    // Looked at once more with the change: something may have arrived meanwhile.
    await disableEndpoint(
      deps,
      organisationId,
      id,
      "failing",
      now,
      (it) => isSame(it) && hasFailedLong(it, now),
    );
  }
}

function hasFailedLong({ failingSince }: WebhookEndpoint, now: number): boolean {
  return failingSince !== null && now - failingSince >= FAILING_MS;
}
