/**
 * The sweep: the work of the cron job, every minute. It does what alarms and queues have missed, and removes
 * old rows. A run does one step of each kind of task, which finds by an index what is due. If there is more,
 * the sweep's queue goes on with it. So a minute with nothing to do costs one query for each kind of task.
 */

import { openDatabase } from "../db/open";
import { openOutbox } from "../devices/event-outbox";
import { readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { RelayNodeClient } from "../relay-nodes/node-calls";
import { SessionClient } from "../session/session-client";
import { runTask } from "./chain";
import { RETENTION_SHARES } from "./page-sizes";
import { DELETION_JOBS, retentionCutoff, type SweepServices, type Task } from "./tasks";

/** Keeps an invocation running until this work is done. */
export type BackgroundContext = { waitUntil(promise: Promise<unknown>): void };

const MINUTE_MS = 60_000;

/**
 * One run of the sweep.
 * @param scheduledAt the minute for which Cloudflare started the run, in Unix milliseconds. It decides
 *   which share of the organisations is looked at
 */
export async function sweep(env: Env, ctx: BackgroundContext, scheduledAt: number): Promise<void> {
  const services = sweepServices(env, ctx);
  const { now } = services;
  const nextRun = now + MINUTE_MS;
  const remainder = Math.floor(scheduledAt / MINUTE_MS) % RETENTION_SHARES;
  const cutoff = retentionCutoff(services);
  /** Each task, and until when its chain of messages may go on. */
  const work: [Task, number][] = [
    [{ job: "due-sessions", after: null }, nextRun],
    [{ job: "owed-events", after: null }, nextRun],
    [{ job: "old-journals", after: null }, nextRun],
    [{ job: "expiring-keys" }, nextRun],
    [{ job: "database-size" }, nextRun],
    [{ job: "retention", remainder, cutoff, after: 0 }, now + RETENTION_SHARES * MINUTE_MS],
    [{ job: "deleted-organisations", after: 0 }, nextRun],
    [{ job: "pairing-requests", after: null }, nextRun],
    ...DELETION_JOBS.map((job): [Task, number] => [{ job }, nextRun]),
  ];
  // A task that fails is logged, and the others are done all the same.
  for (const [task, until] of work) {
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
