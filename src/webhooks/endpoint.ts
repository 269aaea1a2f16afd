/** A webhook endpoint: an address that wants to hear of an organisation's events. Pure. */
import type { webhookEndpoints } from "../db/schema/webhooks";
import type { EventType } from "../events/event-types";
import type { SecretVersions } from "../outbound/signing-secrets";

/** A webhook endpoint. Times are Unix milliseconds. */
export type WebhookEndpoint = typeof webhookEndpoints.$inferSelect;

/** Events are compared with each endpoint of their organisation: it can have so many. */
export const MOST_ENDPOINTS = 100;

/** Which secrets an endpoint has. */
export function secretVersions(
  endpoint: Pick<WebhookEndpoint, "secretVersion" | "previousSecrets">,
): SecretVersions {
  return { version: endpoint.secretVersion, previous: endpoint.previousSecrets };
}

/** Whether an event tries an endpoint out; it goes to no other. */
export function isTestEvent({ type }: { type: EventType }): boolean {
  return type === "webhook_config.test" || type === "webhook-endpoint.test";
}

/** The data of all `webhook-endpoint.*` events, and of ricloud's test event. */
export interface EndpointEventData {
  readonly endpoint: WebhookEndpoint;
}
