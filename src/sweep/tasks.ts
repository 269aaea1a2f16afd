/**
 * The tasks of the sweep. A task is done in steps. A step handles one page and says where the next page
 * begins, so that any amount of work is done in as many steps and invocations as it needs.
 */
import type { Database } from "../db/open";
import type { ApplicationPosition } from "../devices/application-store";
import type { EventOutbox } from "../events/event-outbox";
import type { JournalKey } from "../events/journal-key";
import type { RequestPosition } from "../pairing/request-store";
import type { Config } from "../platform/config";
import type { RelayNodeClient } from "../relay-nodes/node-calls";
import type { DueSession } from "../session/due-sessions";
import type { SessionClient } from "../session/session-client";
import type { Ended, SessionKey } from "../session/session-key";

/** Tasks that only delete rows: a page is one statement. */
export const DELETION_JOBS = [
  "setup-codes",
  "nonces",
  "join-codes",
  "signed-out-tokens",
  "idempotency-keys",
  "dead-letters",
] as const;

/**
 * A task, and where to go on with it. `after` is the last row of the page before; null or 0: from the
 * beginning. `cutoff` and `deletedAt` are Unix milliseconds: what is older than the cutoff is removed; null:
 * everything is, because the organisation was deleted.
 */
export type Task =
  | { job: (typeof DELETION_JOBS)[number] }
  /** `after`: the id of the last event of the page before. */
  | { job: "owed-events"; after: string | null }
  | { job: "expiring-keys" }
  | { job: "database-size" }
  | { job: "pairing-requests"; after: RequestPosition | null }
  /** Finds sessions that are due, and makes tasks `wake-sessions` of them. */
  | { job: "due-sessions"; after: DueSession | null }
  | { job: "wake-sessions"; sessions: readonly DueSession[] }
  /** Looks at a share of the organisations, and makes the tasks of each that has something to remove. */
  | { job: "retention"; remainder: number; cutoff: number; after: number }
  /**
   * Finds relay sessions that have ended and are no longer needed, and makes tasks `remove-ended-relays` of
   * them. `ended`: what is left of the values of `Ended` that are to be removed.
   */
  | {
      job: "ended-relays";
      organisationId: number;
      ended: readonly Ended[];
      after: Pick<SessionKey, "createdAt" | "id"> | null;
    }
  | { job: "remove-ended-relays"; sessions: readonly SessionKey[] }
  /** Finds old sessions, and makes tasks `remove-sessions` of them. `range`: an index of `SESSION_RANGES`. */
  | {
      job: "old-sessions";
      organisationId: number;
      cutoff: number | null;
      range: number;
      after: Pick<SessionKey, "createdAt" | "id"> | null;
    }
  | { job: "remove-sessions"; sessions: readonly SessionKey[] }
  /** Finds journals whose day retention has reached, and makes tasks `drop-journals` of them. */
  | { job: "old-journals"; after: JournalKey | null }
  /** Finds the journals of a deleted organisation, and makes tasks `drop-journals` of them. */
  | { job: "journals-of-organisation"; organisationId: number }
  | { job: "drop-journals"; journals: readonly JournalKey[] }
  | { job: "old-rows"; organisationId: number; cutoff: number | null }
  | {
      job: "old-pairing";
      organisationId: number;
      cutoff: number | null;
      after: ApplicationPosition | null;
    }
  /** Finds deleted organisations, and makes the tasks that remove all of each. */
  | { job: "deleted-organisations"; after: number }
  | { job: "deleted-organisation"; organisationId: number; deletedAt: number };

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
