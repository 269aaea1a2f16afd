/** What people ask of deliveries themselves: to try an endpoint out, and to send something once more. */
import type { Database } from "../db/open";
import { newEventId } from "../events/event";
import { eventInsertion } from "../events/event-store";
import { type AttemptDeps, makeAttempt } from "./delivery-attempt";
import { askFor } from "./delivery-messages";
import {
  type Attempt,
  type DeliveryKey,
  findDueDeliveries,
  MOST_ATTEMPTS,
  madeDeliveryInsertion,
  newDelivery,
  type StoredDelivery,
} from "./delivery-store";
import type { WebhookEndpoint } from "./endpoint";
import { testEvent } from "./endpoint-changes";
import { setEndpointValid } from "./endpoint-store";
import { findWebhookSecrets } from "./organisation-secret";

/** Why something is not sent once more. */
export type ResendRefusal =
  | "not-found"
  | "endpoint-deleted"
  | "endpoint-disabled"
  | "too-many-attempts";

/** Posts a test to an endpoint, also to one that is disabled, and records it like any delivery. */
export async function sendTest(
  deps: AttemptDeps & { db: Database },
  endpoint: WebhookEndpoint,
  now: number,
): Promise<Attempt> {
  const { db } = deps;
  const event = testEvent(endpoint, now);
  const { organisationId, id, format, url } = endpoint;
  const delivery = newDelivery(event, format, url, id);
  const organisationSecrets = await findWebhookSecrets(db, organisationId);
  const outcome = await makeAttempt(deps, { ...delivery, event, endpoint, organisationSecrets }, 0);
  const { attempt } = outcome;
  const succeeded = outcome.sent && outcome.succeeded;
  const status = succeeded ? "delivered" : outcome.sent ? "failed" : "discarded";
  await db.batch([eventInsertion(db, event), madeDeliveryInsertion(db, delivery, status, attempt)]);
  await setEndpointValid(db, endpoint, succeeded);
  return attempt;
}

/**
 * Has a delivery sent once more, whatever became of it; its schedule goes on as it is.
 * @throws UnavailableError
 */
export async function requestResend(
  db: Database,
  queue: Queue,
  key: DeliveryKey,
  now: number,
): Promise<{ ok: true; delivery: StoredDelivery } | { ok: false; refusal: ResendRefusal }> {
  const [delivery] = await findDueDeliveries(db, [key]);
  if (!delivery) return { ok: false, refusal: "not-found" };
  const { endpoint, endpointId, attempts } = delivery;
  if (endpointId !== null && !endpoint) return { ok: false, refusal: "endpoint-deleted" };
  if (endpoint?.enabled === false) return { ok: false, refusal: "endpoint-disabled" };
  if (attempts.length >= MOST_ATTEMPTS) return { ok: false, refusal: "too-many-attempts" };
  const { organisationId, id } = key;
  await askFor(queue, { v: 1, organisationId, id, resend: newEventId(now) });
  return { ok: true, delivery };
}
