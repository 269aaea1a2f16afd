/**
 * What the sweep has to do, in steps. A step is bounded: it handles one page, and says where the next
 * one begins. So any amount of work is done by a chain of steps, over as many invocations as it takes.
 */
import type { Database } from "../db/open";
import type { ApplicationPosition } from "../devices/application-store";
import type { EventOutbox } from "../events/event-outbox";
import type { RequestPosition } from "../pairing/request-store";
import type { Config } from "../platform/config";
import type { DueSession, SessionKey } from "../session/projection";
import type { SessionClient } from "../session/session-client";

/** What can only be deleted: a page is one statement. */
export const DELETION_JOBS = [
  "setup-codes",
  "nonces",
  "join-codes",
  "signed-out-tokens",
  "idempotency-keys",
  "dead-letters",
] as const;

/** A piece of work, and where in it to go on. Moments are Unix milliseconds; a cutoff of null means all. */
export type Task =
  | { job: (typeof DELETION_JOBS)[number] }
  | { job: "owed-events" }
  | { job: "expiring-keys" }
  | { job: "pairing-requests"; after: RequestPosition | null }
  /** Sessions to look at; it hands them on as `poke-sessions`. */
  | { job: "due-sessions"; after: DueSession | null }
  | { job: "poke-sessions"; sessions: readonly DueSession[] }
  /** A share of the organisations: what has something to remove is handed on, each by itself. */
  | { job: "retention"; remainder: number; cutoff: number; after: number }
  /** Sessions to remove; it hands them on as `purge-sessions`. `lane`: which range of rows. */
  | {
      job: "old-sessions";
      organisationId: number;
      cutoff: number | null;
      lane: number;
      after: Pick<SessionKey, "createdAt" | "id"> | null;
    }
  | { job: "purge-sessions"; sessions: readonly SessionKey[] }
  | { job: "old-rows"; organisationId: number; cutoff: number | null }
  | {
      job: "old-pairing";
      organisationId: number;
      cutoff: number | null;
      after: ApplicationPosition | null;
    }
  | { job: "deleted-organisations"; after: number }
  | { job: "deleted-organisation"; organisationId: number; deletedAt: number };

/** What travels on the sweep's queue. */
export interface SweepMessage {
  v: 1;
  task: Task;
  /** Until when it is gone on with (Unix milliseconds): then the next run begins with it anew. */
  until: number;
}

/** What comes of a step. */
export interface StepResult {
  /** The same task from where this step ended; null: it is done. */
  rest: Task | null;
  /** Further tasks that it found. */
  more: readonly Task[];
}

/** What the sweep stands on. */
export interface SweepServices {
  db: Database;
  sessions: SessionClient;
  events: EventOutbox;
  config: Config;
  /** Where checks of connectors are asked for. */
  checks: Queue;
  /** Where the sweep hands its own work on. */
  sweeps: Queue;
  /** When this run or message began, Unix milliseconds. */
  now: number;
}
