/** Events about sessions, as their types have them. */
import type { DomainEvent } from "../../src/events/event";
import type { SessionEventData } from "../../src/session/session";
import { isSessionEvent } from "../../src/webhooks/event-catalogue";

/** The event, known to be about a session. */
export function asSessionEvent(event: DomainEvent): DomainEvent<SessionEventData> {
  if (!isSessionEvent(event)) throw new Error(`${event.type} is not about a session`);
  return event;
}
