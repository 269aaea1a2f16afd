/**
 * What an attempt says about its endpoint, and when the endpoint is disabled for that. The consumer of
 * deliveries calls it after each attempt.
 */
import type { ChangeStore } from "../events/event-outbox";
import type { SentAttempt } from "./delivery-attempt";
import type { WebhookEndpoint } from "./endpoint";
import { disableEndpoint } from "./endpoint-changes";
import { setFailingSince } from "./endpoint-store";

/** An endpoint that has failed for so long is disabled: 5 days. */
export const FAILING_MS = 5 * 86_400_000;

/** With this status a receiver says that it wants nothing more. */
const GONE = 410;

/** Whether the receiver said that it wants nothing more. Further attempts would be of no use. */
export function isGone({ attempt }: SentAttempt): boolean {
  return attempt.statusCode === GONE;
}

/** An attempt, as far as it says something about the endpoint. */
export interface HealthReport {
  result: SentAttempt;
  /** Whether the schedule has no attempt after it. */
  isLast: boolean;
}

/**
 * Records what an attempt says about its endpoint. While an endpoint works, this writes no row. The first
 * failure writes one, and so does the first success after it.
 *
 * Only the last attempt of a delivery can disable an endpoint that fails. The endpoint then has failed a
 * whole schedule as well, and not just one attempt after days without events.
 */
export async function updateEndpointHealth(
  store: ChangeStore,
  endpoint: WebhookEndpoint,
  { result, isLast }: HealthReport,
  now: number,
): Promise<void> {
  // The endpoint may have another address by now, about which this attempt says nothing.
  const isSame = ({ url }: WebhookEndpoint) => url === endpoint.url;
  const { failingSince } = endpoint;
  if (result.succeeded) {
    if (failingSince !== null) await setFailingSince(store.db, endpoint, null);
    return;
  }
  if (isGone(result)) {
    await disableEndpoint(store, endpoint, { reason: "gone", onlyIf: isSame }, now);
    return;
  }
  if (failingSince === null) {
    await setFailingSince(store.db, endpoint, now);
  } else if (isLast && hasFailedLong(endpoint, now)) {
    // Asked again when the change is made: a delivery may have arrived in between.
    const onlyIf = (current: WebhookEndpoint) => isSame(current) && hasFailedLong(current, now);
    await disableEndpoint(store, endpoint, { reason: "failing", onlyIf }, now);
  }
}

function hasFailedLong({ failingSince }: WebhookEndpoint, now: number): boolean {
  return failingSince !== null && now - failingSince >= FAILING_MS;
}
