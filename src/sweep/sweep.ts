/**
 * The sweep: the work of the cron job, every minute. It does what alarms and queues have missed, and removes
 * old rows. A run does one step of each kind of task, which finds what is due without reading what is not. If
 * there is more, the sweep's queue goes on with it. So a minute with nothing to do costs one query for each kind
 * of task, and next to no rows, however many organisations there are.
 */

import { openDatabase } from "../db/open";
import { openOutbox } from "../devices/event-outbox";
import { readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { RelayNodeClient } from "../relay-nodes/node-calls";
import { SessionClient } from "../session/session-client";
import { endedToRemove } from "../session/session-key";
import { runTask } from "./chain";
import { DELETION_JOBS, type SweepServices, type Task } from "./tasks";

/** Keeps an invocation running until this work is done. */
export type BackgroundContext = { waitUntil(promise: Promise<unknown>): void };

const MINUTE_MS = 60_000;

/** One run of the sweep. */
export async function sweep(env: Env, ctx: BackgroundContext): Promise<void> {
  const services = sweepServices(env, ctx);
  const { now } = services;
  /** Until then the chain of messages of a task may go on. */
  const until = now + MINUTE_MS;
  const work: Task[] = [
    { job: "due-sessions", after: null },
    { job: "owed-events", after: null },
    { job: "old-journals", after: null },
    { job: "expiring-keys" },
    { job: "database-size" },
    { job: "ended-relays", ended: endedToRemove(now), after: null },
    { job: "old-sources", after: null },
    { job: "deleted-organisations", after: null },
    { job: "pairing-requests" },
    ...DELETION_JOBS.map((job): Task => ({ job })),
  ];
  // A task that fails is logged, and the others are done all the same.
  for (const task of work) {
    try {
      await runTask(services, task, { steps: 1, until });
    } catch (error) {
      log("sweep failed", { work: task.job, error: describeError(error) });
    }
  }
}

/** The services of the sweep in this invocation. Reads the clock. */
export function sweepServices(env: Env, ctx: BackgroundContext): SweepServices {
  const db = openDatabase(env);
  return {
    db,
    sessions: new SessionClient(env, ctx),
    nodes: new RelayNodeClient(env),
    events: openOutbox(env, ctx, db),
    config: readConfig(env),
    checks: env.CHECKS,
    sweeps: env.SWEEPS,
    now: Date.now(),
  };
}
