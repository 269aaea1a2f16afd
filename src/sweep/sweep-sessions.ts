/** The sweep's steps for sessions: wakes the objects of those that are due, and removes those that have ended or are old. */
import { describeError, log } from "../platform/log";
import { sideBySide } from "../platform/side-by-side";
import { type DueSession, findDueSessions } from "../session/due-sessions";
import type { SessionKind } from "../session/session";
import { ENDED, type Ended, endedToRemove, type SessionKey } from "../session/session-key";
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
  ...ENDED.relay.map((ended) => ({ kind: "relay" as const, ended })),
  { kind: "source", ended: 0 },
  ...ENDED.source.map((ended) => ({ kind: "source" as const, ended })),
];
/** The ranges from this index on have sessions that retention removes: source sessions that have ended. */
export const FIRST_OLD_RANGE = SESSION_RANGES.length - ENDED.source.length;

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
  await forEachObject(due, async (key) => {
    if (!(await sessions.reconcile(key.id))) unknown.push(key);
  });
  // An object without a session: its row is left over. That of a source session stays once it has ended.
  const leftOver = unknown.filter(({ kind, ended }) => kind === "relay" || ended === 0);
  await forgetSessions(db, leftOver);
  // Source sessions may be due for a check by their connector. The consumer of the checks queue decides.
  const messages = due
    .filter(({ checked }) => checked)
    .map(({ organisationId, id }) => ({
      body: { v: 1, organisationId, sessionId: id } satisfies CheckMessage,
    }));
  if (messages.length > 0) await checks.sendBatch(messages);
}

/** Finds a page of an organisation's relay sessions that are no longer needed, and makes the tasks that remove them. */
export async function queueEndedRelays(
  { db, now }: SweepServices,
  task: Extract<Task, { job: "ended-relays" }>,
): Promise<StepResult> {
  const { organisationId, after } = task;
  const [ended, ...further] = task.ended;
  if (ended === undefined) return { rest: null, more: [] };
  const next = { ...task, ended: further, after: null };
  // The values go round: if the queue was slow, this one may mean sessions by now that have just ended.
  if (!endedToRemove(now).includes(ended)) return { rest: next, more: [] };
  const page = { after, limit: SESSIONS_PER_STEP };
  const range = { organisationId, kind: "relay", ended, only: "recorded" } as const;
  const found = await findRemovable(db, { ...range, ...page });
  const more = inMessages(found).map((sessions) => ({
    job: "remove-ended-relays" as const,
    sessions,
  }));
  const last = found.length === SESSIONS_PER_STEP ? found.at(-1) : undefined;
  const rest = last ? { ...task, after: { createdAt: last.createdAt, id: last.id } } : next;
  return { rest: rest.ended.length > 0 ? rest : null, more };
}

/**
 * Removes relay sessions that have ended, the object before the row: if the object fails, or is not done yet,
 * the row finds it again half an hour later.
 */
export async function removeEndedRelays(
  { db, sessions }: SweepServices,
  keys: readonly SessionKey[],
): Promise<void> {
  const gone: SessionKey[] = [];
  await forEachObject(keys, async (key) => {
    if (await sessions.purgeEnded(key.id)) gone.push(key);
  });
  await forgetSessions(db, gone);
}

/** Finds a page of an organisation's old sessions, range after range, and makes the tasks that remove them. */
export async function queueOldSessions(
  { db }: SweepServices,
  task: Extract<Task, { job: "old-sessions" }>,
): Promise<StepResult> {
  const { organisationId, cutoff, after } = task;
  const range = SESSION_RANGES[task.range];
  if (!range) return { rest: null, more: [] };
  const only = cutoff === null ? ("all" as const) : { endedBefore: cutoff };
  const query = { organisationId, ...range, only, after, limit: SESSIONS_PER_STEP };
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
  await forEachObject(keys, async (key) => {
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

async function forEachObject<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for (const one of await sideBySide(items, OBJECTS_AT_ONCE, work)) {
    if (one.status === "rejected") {
      log("sweep item failed", { error: describeError(one.reason) });
    }
  }
}
