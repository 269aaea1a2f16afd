/**
 * The sweep, each minute: the net beneath alarms and queues, and what keeps tables from growing. A run
 * does one step of each kind of work, which finds what is due by index; where that was not all, the
 * sweep's queue goes on. So an idle minute costs a query for each kind, and a busy one what it takes.
 */

import { openDatabase } from "../db/open";
import { EventOutbox } from "../events/event-outbox";
import { readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { SessionClient } from "../session/session-client";
import { runTask } from "./chain";
import { RETENTION_SHARES } from "./page-sizes";
import { DELETION_JOBS, type SweepServices, type Task } from "./tasks";

/** Where work goes on behind a run. */
export type BackgroundContext = { waitUntil(promise: Promise<unknown>): void };

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * One run of the sweep.
 * @param scheduledAt the minute it stands for, Unix milliseconds: it picks the share of organisations
 */
export async function sweep(env: Env, ctx: BackgroundContext, scheduledAt: number): Promise<void> {
  const deps = sweepServices(env, ctx);
  const { now } = deps;
  const minute = now + MINUTE_MS;
  const remainder = Math.floor(scheduledAt / MINUTE_MS) % RETENTION_SHARES;
  const cutoff = now - deps.config.retentionDays * DAY_MS;
  const work: [Task, number][] = [
    [{ job: "due-sessions", after: null }, minute],
    [{ job: "owed-events" }, minute],
    [{ job: "expiring-keys" }, minute],
    [{ job: "retention", remainder, cutoff, after: 0 }, now + RETENTION_SHARES * MINUTE_MS],
    [{ job: "deleted-organisations", after: 0 }, minute],
    [{ job: "pairing-requests", after: null }, minute],
    ...DELETION_JOBS.map((job): [Task, number] => [{ job }, minute]),
  ];
  // Each stands alone: one that fails is logged and must not keep the others from their work.
  for (const [task, until] of work) {
    try {
      await runTask(deps, task, { steps: 1, until });
    } catch (error) {
      log("sweep failed", { work: task.job, error: describeError(error) });
    }
  }
}

/** What the sweep stands on in this invocation. */
export function sweepServices(env: Env, ctx: BackgroundContext): SweepServices {
  const db = openDatabase(env);
  return {
    db,
    sessions: new SessionClient(env, ctx),
    events: new EventOutbox(db, env.EVENTS, ctx),
    config: readConfig(env),
    checks: env.CHECKS,
    sweeps: env.SWEEPS,
    now: Date.now(),
  };
}
