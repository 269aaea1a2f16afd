/** Two actions of operators: testing an endpoint, and sending a delivery again. The operations call them. */
import type { Database } from "../db/open";
import type { Attempt, DeliveryKey, StoredDelivery } from "../events/delivery-record";
import { newEventId } from "../events/event";
import type { JournalClient } from "../events/journal-client";
import { describeError, log } from "../platform/log";
import { UnavailableError } from "../platform/unavailable";
import { deliveryName, findDeliveriesToSend } from "./deliveries-to-send";
import { MAX_ATTEMPTS, newDelivery } from "./delivery";
import { makeAttempt, type WebhookSender } from "./delivery-attempt";
import { queueDeliveryMessage } from "./delivery-messages";
import { testEvent } from "./endpoint-changes";
import { findEndpointToTest, setEndpointValid } from "./endpoint-store";

/** Why a delivery is not sent again. */
export type ResendRefusal =
  | "not-found"
  | "endpoint-deleted"
  | "endpoint-disabled"
  | "too-many-attempts";

/**
 * Posts a test event to an endpoint, even to one that is disabled, and records it as a delivery. What cannot be
 * recorded is logged: the caller still hears what was answered, since asking again would post again. Null: there
 * is no such endpoint.
 * @throws before anything is posted, what D1 threw
 */
export async function sendTest(
  sender: WebhookSender & { db: Database; journals: JournalClient },
  { organisationId, id }: { organisationId: number; id: string },
  now: number,
): Promise<Attempt | null> {
  const { db, journals } = sender;
  const found = await findEndpointToTest(db, organisationId, id);
  if (!found) return null;
  const { endpoint, organisationSecrets } = found;
  const event = testEvent(endpoint, now);
  const delivery = newDelivery(event, endpoint.format, endpoint.url, id);
  const result = await makeAttempt(
    sender,
    { ...delivery, event, endpoint, organisationSecrets },
    0,
  );
  const { attempt } = result;
  const succeeded = result.sent && result.succeeded;
  const status = succeeded
    ? ("delivered" as const)
    : result.sent
      ? ("failed" as const)
      : ("discarded" as const);
  const made = { status, attempts: [attempt], scheduledAttempts: 1, nextAttemptAt: null } as const;
  const attempted = { ...delivery, ...made, attempts: [attempt] };
  try {
    const key = await journals.journalOf(organisationId, event.id);
    await journals.call(key, (journal) => journal.recordAttempted(event, attempted));
    if (endpoint.valid !== succeeded) await setEndpointValid(db, endpoint, succeeded);
  } catch (error) {
    log("webhook test not recorded", { organisationId, endpoint: id, error: describeError(error) });
  }
  return attempt;
}

/**
 * Puts one more attempt of a delivery on its queue, whatever its status. Its schedule stays as it is.
 * @throws UnavailableError when the queue does not take it, or the journal is unreachable
 */
export async function requestResend(
  { db, journals, deliveries: queue }: { db: Database; journals: JournalClient; deliveries: Queue },
  key: DeliveryKey,
  now: number,
): Promise<{ ok: true; delivery: StoredDelivery } | { ok: false; refusal: ResendRefusal }> {
  const { found, unreachable } = await findDeliveriesToSend({ db, journals }, [key]);
  if (unreachable.size > 0) throw new UnavailableError("the journal of a delivery is unreachable");
  const delivery = found.get(deliveryName(key));
  if (!delivery) return { ok: false, refusal: "not-found" };
  const { endpoint, endpointId, attempts } = delivery;
  if (endpointId !== null && !endpoint) return { ok: false, refusal: "endpoint-deleted" };
  if (endpoint?.enabled === false) return { ok: false, refusal: "endpoint-disabled" };
  if (attempts.length >= MAX_ATTEMPTS) return { ok: false, refusal: "too-many-attempts" };
  const { organisationId, id } = key;
  await queueDeliveryMessage(queue, { v: 1, organisationId, id, resend: newEventId(now) });
  return { ok: true, delivery };
}
