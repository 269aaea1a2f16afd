/** Events about sessions, as their types have them. */
import { type DomainEvent, isSessionEvent, type SessionEventData } from "../../src/events/event";

/** The event, known to be about a session. */
export function asSessionEvent(event: DomainEvent): DomainEvent<SessionEventData> {
  if (!isSessionEvent(event)) throw new Error(`${event.type} is not about a session`);
  return event;
}
