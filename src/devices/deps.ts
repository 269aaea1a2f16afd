/** What the work on devices stands on. */
import type { Database } from "../db/open";
import type { EventOutbox } from "../events/outbox";
import type { SessionClient } from "../session/client";

export interface DeviceDeps {
  db: Database;
  /** The deployment's secret, from which challenges, poll tokens and code digests are derived. */
  secret: string;
  sessions: SessionClient;
  events: EventOutbox;
}

/** An API key at work: what it may do is a mandatory part of who it is. */
export interface Operator {
  organisationId: number;
  keyId: number;
  permissions: readonly string[];
}

/** Others may change what a change was decided on: then it is decided again, so often at most. */
export const MOST_TRIES = 5;
