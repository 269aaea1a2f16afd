/** What the work on devices stands on. */
import type { Database } from "../db/open";
import type { EventOutbox } from "../events/event-outbox";
import type { SessionClient } from "../session/session-client";

export interface DeviceServices {
  db: Database;
  /** The deployment's secret, from which challenges, poll tokens and code digests are derived. */
  secret: string;
  sessions: SessionClient;
  events: EventOutbox;
}

/** An API key at work, or a person signed in with it: what they may do is a mandatory part of who they are. */
export interface Actor {
  organisationId: number;
  keyId: number;
  permissions: readonly string[];
  /** The person's; null: the key itself. Without an address it is not known who they are. */
  session: { readonly email: string | null } | null;
}
