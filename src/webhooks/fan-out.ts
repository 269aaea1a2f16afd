/** Which deliveries an event gets: one for each address that wants it. Pure. */
import type { Delivery } from "../events/delivery-record";
import type { DomainEvent } from "../events/event";
import { matchesPattern } from "../events/event-types";
import { newDelivery } from "./delivery";
import { isTestEvent, type WebhookEndpoint } from "./endpoint";
import { type EventData, isSessionEvent } from "./event-catalogue";

/** The events that a session's own `webhook_url` gets. */
const SESSION_URL_EVENTS = ["session.active", "session.failed", "session.expired"];

/** An enabled endpoint, as far as it matters for who wants an event. */
export type ListeningEndpoint = Pick<WebhookEndpoint, "id" | "url" | "format" | "eventTypes">;

/** The deliveries that an event gets, of these endpoints of its organisation. */
export function deliveriesOf(
  event: DomainEvent,
  endpoints: readonly ListeningEndpoint[],
): Delivery[] {
  const toEndpoints = endpoints
    .filter((endpoint) => wants(endpoint, event))
    .map(({ id, url, format }) => newDelivery(event, format, url, id));
  return [...deliveriesToSessionUrl(event), ...toEndpoints];
}

function wants(endpoint: ListeningEndpoint, event: DomainEvent): boolean {
  const data = event.data as EventData;
  if ("endpoint" in data) {
    // A test goes to its own endpoint alone. All other events of an endpoint go to the other endpoints.
    const isItself = data.endpoint.id === endpoint.id;
    if (isTestEvent(event)) return isItself;
    if (isItself) return false;
  }
  return endpoint.eventTypes?.some((pattern) => matchesPattern(pattern, event.type)) ?? true;
}

function deliveriesToSessionUrl(event: DomainEvent): Delivery[] {
  if (!isSessionEvent(event)) return [];
  const { kind, webhookUrl } = event.data.session;
  if (kind !== "relay" || webhookUrl === null) return [];
  if (!SESSION_URL_EVENTS.includes(event.type)) return [];
  return [newDelivery(event, "relay-session", webhookUrl)];
}
