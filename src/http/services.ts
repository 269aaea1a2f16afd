/** What a request works with beside D1. Each is made when it is asked for: most requests need one or none. */
import { openOutbox } from "../devices/event-outbox";
import type { ChangeStore, EventOutbox } from "../events/event-outbox";
import { JournalClient } from "../events/journal-client";
import { SessionClient } from "../session/session-client";
import type { Call } from "./request-context";

/** The client of the sessions' objects. */
export function sessionsOf(c: Call): SessionClient {
  return new SessionClient(c.env, c.executionCtx);
}

/** The client of the journals. */
export function journalsOf(c: Call): JournalClient {
  return new JournalClient(c.env);
}

/** The outbox: it has the events of changes in D1 recorded. */
export function eventsOf(c: Call): EventOutbox {
  return openOutbox(c.env, c.executionCtx, c.get("db"));
}

/** D1, with the outbox of its changes. */
export function changeStoreOf(c: Call): ChangeStore {
  return { db: c.get("db"), events: eventsOf(c) };
}
