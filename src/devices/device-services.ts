/** What changes of devices and pairing requests need from outside. Routes and tests build it. */
import type { Database } from "../db/open";
import type { EventOutbox } from "../events/event-outbox";
import type { SessionClient } from "../session/session-client";

/** The database, the deployment's secret, the client of session objects, and the outbox of events. */
export interface DeviceServices {
  db: Database;
  /** The deployment's secret. Challenges, poll tokens and digests of setup codes are derived from it. */
  secret: string;
  sessions: SessionClient;
  events: EventOutbox;
}
