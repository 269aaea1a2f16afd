/** The sweep's steps for sessions: wakes the objects of those that are due, and removes those that are old. */
import { describeError, log } from "../platform/log";
import { type DueSession, findDueSessions } from "../session/due-sessions";
import type { SessionKind } from "../session/session";
import type { Ended, SessionKey } from "../session/session-key";
import { findRemovable, forgetSessions } from "../session/session-retention";
import type { CheckMessage } from "../sources/access-checks";
import { sweepRecoveries } from "../webhooks/recovery";
import {
  OBJECTS_AT_ONCE,
  ROWS_PER_DELETION,
  SESSIONS_PER_MESSAGE,
  SESSIONS_PER_STEP,
} from "./page-sizes";
import type { StepResult, SweepServices, Task } from "./tasks";

/** The ranges of an organisation's sessions in the table. A task goes through them one after another. */
const SESSION_RANGES: readonly { kind: SessionKind; ended: Ended }[] = [
  { kind: "relay", ended: 0 },
  { kind: "source", ended: 0 },
  { kind: "relay", ended: 1 },
  { kind: "relay", ended: 2 },
  { kind: "source", ended: 1 },
  { kind: "source", ended: 2 },
];
/** The ranges from this index on have sessions that have ended. */
export const FIRST_ENDED_RANGE = 2;

/** Finds a page of sessions that are due, and makes the tasks that wake their objects. */
export async function queueDueSessions(
  { db, now }: SweepServices,
  task: Extract<Task, { job: "due-sessions" }>,
): Promise<StepResult> {
  const due = await findDueSessions(db, now, task.after, SESSIONS_PER_STEP);
  const more = inMessages(due).map((sessions) => ({ job: "wake-sessions" as const, sessions }));
  const after = due.at(-1);
  const isFull = after !== undefined && due.length === SESSIONS_PER_STEP;
  return { rest: isFull ? { ...task, after } : null, more };
}

/** Wakes the objects of these sessions, so that they do what is due. The next run finds one that fails again. */
export async function wakeSessions(
  { db, sessions, checks }: SweepServices,
  due: readonly DueSession[],
): Promise<void> {
  const unknown: DueSession[] = [];
  await sideBySide(due, async (key) => {
    if (!(await sessions.reconcile(key.id))) unknown.push(key);
  });
  // An object without a session: its row is left over.
  await forgetSessions(db, unknown);
  // Source sessions may be due for a check by their connector. The consumer of the checks queue decides.
  const messages = due
    .filter(({ checked }) => checked)
    .map(({ organisationId, id }) => ({
      body: { v: 1, organisationId, sessionId: id } satisfies CheckMessage,
    }));
  if (messages.length > 0) await checks.sendBatch(messages);
}

/** Finds a page of an organisation's old sessions, range after range, and makes the tasks that remove them. */
export async function queueOldSessions(
  { db }: SweepServices,
  task: Extract<Task, { job: "old-sessions" }>,
): Promise<StepResult> {
  const { organisationId, cutoff, after } = task;
  const range = SESSION_RANGES[task.range];
  if (!range) return { rest: null, more: [] };
  const query = { organisationId, ...range, cutoff, after, limit: SESSIONS_PER_STEP };
  const old = await findRemovable(db, query);
  const more = inMessages(old).map((sessions) => ({ job: "remove-sessions" as const, sessions }));
  const last = old.length === SESSIONS_PER_STEP ? old.at(-1) : undefined;
  const rest = last
    ? { ...task, after: { createdAt: last.createdAt, id: last.id } }
    : { ...task, range: task.range + 1, after: null };
  return { rest, more };
}

/** Removes sessions, the object before the row: if the object fails, the row finds it again. */
export async function removeSessions(
  { db, sessions }: SweepServices,
  keys: readonly SessionKey[],
): Promise<void> {
  const purged: SessionKey[] = [];
  await sideBySide(keys, async (key) => {
    await sessions.purge(key.id);
    purged.push(key);
  });
  await forgetSessions(db, purged);
}

/** Removes a page of an organisation's old recoveries. True: none is left. */
export async function removeOldRows(
  { db }: SweepServices,
  { organisationId, cutoff }: { organisationId: number; cutoff: number | null },
): Promise<boolean> {
  const before = cutoff ?? Number.MAX_SAFE_INTEGER;
  const removed = await sweepRecoveries(db, organisationId, before, ROWS_PER_DELETION);
  return removed < ROWS_PER_DELETION;
}

function inMessages<T>(sessions: readonly T[]): T[][] {
  const messages: T[][] = [];
  for (let i = 0; i < sessions.length; i += SESSIONS_PER_MESSAGE) {
    messages.push(sessions.slice(i, i + SESSIONS_PER_MESSAGE));
  }
  return messages;
}

async function sideBySide<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < items.length; i += OBJECTS_AT_ONCE) {
    const done = await Promise.allSettled(items.slice(i, i + OBJECTS_AT_ONCE).map(work));
    for (const one of done) {
      if (one.status === "rejected") {
        log("sweep item failed", { error: describeError(one.reason) });
      }
    }
  }
}
