/**
 * The tasks of the sweep. A task is done in steps. A step handles one page and says where the next page
 * begins, so that any amount of work is done in as many steps and invocations as it needs.
 */
import type { Database } from "../db/open";
import type { ApplicationPosition } from "../devices/application-store";
import type { EventOutbox } from "../events/event-outbox";
import type { JournalKey } from "../events/journal-key";
import type { DeletedOrganisation } from "../organisations/organisation-store";
import type { Config } from "../platform/config";
import type { RelayNodeClient } from "../relay-nodes/node-calls";
import type { DueSession } from "../session/due-sessions";
import type { SessionClient } from "../session/session-client";
import type { Ended, SessionKey } from "../session/session-key";
import type { EndedPosition, OldSource } from "../session/session-retention";

/** Tasks that only delete rows. */
export const DELETION_JOBS = [
  "setup-codes",
  "nonces",
  "join-codes",
  "signed-out-tokens",
  "idempotency-keys",
  "dead-letters",
  "recoveries",
  "old-pairing",
] as const;

/** What the task `deleted-organisation` removes, beside what has tasks of its own. The keys go first. */
export const ORGANISATION_PARTS = [
  "keys",
  "permissions",
  "sources",
  "recoveries",
  "endpoints",
  "nodes",
] as const;

/** A part of what a deleted organisation has. */
export type OrganisationPart = (typeof ORGANISATION_PARTS)[number];

/**
 * A task, and where to go on with it. `after` is the last row of the page before; null: from the beginning.
 * `deletedAt` is in Unix milliseconds.
 */
export type Task =
  | { job: (typeof DELETION_JOBS)[number] }
  /** `after`: the id of the last event of the page before. */
  | { job: "owed-events"; after: string | null }
  | { job: "expiring-keys" }
  | { job: "database-size" }
  | { job: "pairing-requests" }
  /** Finds sessions that are due, and makes tasks `wake-sessions` of them. */
  | { job: "due-sessions"; after: DueSession | null }
  | { job: "wake-sessions"; sessions: readonly DueSession[] }
  /**
   * Finds relay sessions that have ended and are no longer needed, and makes tasks `remove-ended-relays` of
   * them. `ended`: the values of `Ended` that are to be removed.
   */
  | { job: "ended-relays"; ended: readonly Ended[]; after: EndedPosition | null }
  | { job: "remove-ended-relays"; sessions: readonly SessionKey[] }
  /** Finds source sessions that ended before retention begins, and makes tasks `remove-sessions` of them. */
  | { job: "old-sources"; after: OldSource | null }
  /**
   * Finds all sessions of a deleted organisation, and makes tasks `remove-sessions` of them. `range`: an index
   * of `SESSION_RANGES`.
   */
  | {
      job: "sessions-of-organisation";
      organisationId: number;
      range: number;
      after: Pick<SessionKey, "createdAt" | "id"> | null;
    }
  | { job: "remove-sessions"; sessions: readonly SessionKey[] }
  /** Finds journals whose day retention has reached, and makes tasks `drop-journals` of them. */
  | { job: "old-journals"; after: JournalKey | null }
  /** Finds the journals of a deleted organisation, and makes tasks `drop-journals` of them. */
  | { job: "journals-of-organisation"; organisationId: number }
  | { job: "drop-journals"; journals: readonly JournalKey[] }
  | { job: "pairing-of-organisation"; organisationId: number; after: ApplicationPosition | null }
  /** Finds deleted organisations, and makes the tasks that remove all of each. */
  | { job: "deleted-organisations"; after: DeletedOrganisation | null }
  /** `parts`: those that are left. Without them: all. */
  | {
      job: "deleted-organisation";
      organisationId: number;
      deletedAt: number;
      parts?: readonly OrganisationPart[];
    };

/** A message on the sweep's queue. */
export interface SweepMessage {
  v: 1;
  task: Task;
  /** Until when the task may go on, Unix milliseconds: then a run of the sweep begins it again. */
  until: number;
}

/** What is left to do after a step. */
export interface StepResult {
  /** The same task, from where this step ended. Null: it is done. */
  rest: Task | null;
  /** Further tasks that it found. */
  more: readonly Task[];
}

/** The services that the sweep uses. */
export interface SweepServices {
  db: Database;
  sessions: SessionClient;
  nodes: RelayNodeClient;
  events: EventOutbox;
  config: Config;
  /** The queue of checks by connectors. */
  checks: Queue;
  /** The sweep's own queue. */
  sweeps: Queue;
  /** When this run or message began, Unix milliseconds. */
  now: number;
}

/** What is older than this is removed, Unix milliseconds. */
export function retentionCutoff({ config, now }: Pick<SweepServices, "config" | "now">): number {
  return now - config.retentionDays * 86_400_000;
}
