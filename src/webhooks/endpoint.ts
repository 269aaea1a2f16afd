/** A webhook endpoint: an address that wants to hear of an organisation's events. Pure. */
import type { webhookEndpoints } from "../db/schema/webhooks";
import type { EventType } from "../events/event-types";
import type { SecretVersions } from "../outbound/signing-secrets";

/** A webhook endpoint. Times are Unix milliseconds. */
export type WebhookEndpoint = typeof webhookEndpoints.$inferSelect;

/** The most endpoints of an organisation: each of its events is compared with all of them. */
export const MAX_ENDPOINTS = 100;

/** The most names or patterns of events that an endpoint may list. */
export const MAX_EVENT_PATTERNS = 50;

/** The longest description of an endpoint, in characters. */
export const LONGEST_ENDPOINT_DESCRIPTION = 256;

/** The versions of an endpoint's secrets. */
export function secretVersions(
  endpoint: Pick<WebhookEndpoint, "secretVersion" | "previousSecrets">,
): SecretVersions {
  return { version: endpoint.secretVersion, previous: endpoint.previousSecrets };
}

/** Whether an event is the test of an endpoint. Such an event goes to that endpoint only. */
export function isTestEvent({ type }: { type: EventType }): boolean {
  return type === "webhook_config.test" || type === "webhook-endpoint.test";
}

/** The data of all `webhook-endpoint.*` events, and of ricloud's test event. */
export interface EndpointEventData {
  readonly endpoint: WebhookEndpoint;
}
