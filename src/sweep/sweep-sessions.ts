/** The sweep's steps for sessions: wakes the objects of those that are due, and removes those that have ended or are old. */
import { describeError, log } from "../platform/log";
import { sideBySide } from "../platform/side-by-side";
import { type DueSession, findDueSessions } from "../session/due-sessions";
import type { SessionKind } from "../session/session";
import { ENDED, type Ended, endedToRemove, type SessionKey } from "../session/session-key";
import {
  findEndedRelays,
  findOldSources,
  findSessionsOf,
  forgetSessions,
} from "../session/session-retention";
import type { CheckMessage } from "../sources/access-checks";
import { OBJECTS_AT_ONCE, SESSIONS_PER_MESSAGE, SESSIONS_PER_STEP } from "./page-sizes";
import { retentionCutoff, type StepResult, type SweepServices, type Task } from "./tasks";

/** The ranges of an organisation's sessions in the table. A task goes through them one after another. */
const SESSION_RANGES: readonly { kind: SessionKind; ended: Ended }[] = [
  { kind: "relay", ended: 0 },
  ...ENDED.relay.map((ended) => ({ kind: "relay" as const, ended })),
  { kind: "source", ended: 0 },
  ...ENDED.source.map((ended) => ({ kind: "source" as const, ended })),
];

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

/**
 * Finds a page of the relay sessions of each `ended` that are no longer needed, and makes the tasks that remove
 * them. A range of which there is more gets a task of its own, unless it has one: that goes on as long as the
 * next run has not begun.
 */
export async function queueEndedRelays(
  { db, now }: SweepServices,
  task: Extract<Task, { job: "ended-relays" }>,
): Promise<StepResult> {
  // The values go round: if the queue was slow, one may mean sessions by now that have just ended.
  const due = endedToRemove(now);
  const ended = task.ended.filter((one) => due.includes(one));
  const page = { after: task.after, limit: SESSIONS_PER_STEP };
  const pages = await findEndedRelays(db, ended, page);
  const more = pages.flatMap(inMessages).map((some): Task => {
    return { job: "remove-ended-relays", sessions: some };
  });
  const longer = ended.flatMap((one, i): Task[] => {
    const last = pages[i]?.at(SESSIONS_PER_STEP - 1);
    return last ? [{ ...task, ended: [one], after: last }] : [];
  });
  const [rest = null] = ended.length === 1 ? longer : [];
  return { rest, more: rest ? more : [...more, ...longer] };
}

/**
 * Removes relay sessions that have ended, the object before the row: if the object fails, or is not done yet,
 * the row finds it again a minute later.
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

/** Finds a page of the source sessions that ended before retention begins, and makes the tasks that remove them. */
export async function queueOldSources(
  services: SweepServices,
  task: Extract<Task, { job: "old-sources" }>,
): Promise<StepResult> {
  const page = { after: task.after, limit: SESSIONS_PER_STEP };
  const old = await findOldSources(services.db, retentionCutoff(services), page);
  const last = old.length === SESSIONS_PER_STEP ? old.at(-1) : undefined;
  return { rest: last ? { ...task, after: last } : null, more: removals(old) };
}

/** Finds a page of the sessions of a deleted organisation, range after range, and makes the tasks that remove them. */
export async function queueSessionsOf(
  { db }: SweepServices,
  task: Extract<Task, { job: "sessions-of-organisation" }>,
): Promise<StepResult> {
  const { organisationId, after } = task;
  const range = SESSION_RANGES[task.range];
  if (!range) return { rest: null, more: [] };
  const page = { after, limit: SESSIONS_PER_STEP };
  const found = await findSessionsOf(db, { organisationId, ...range }, page);
  const last = found.length === SESSIONS_PER_STEP ? found.at(-1) : undefined;
  const rest = last
    ? { ...task, after: { createdAt: last.createdAt, id: last.id } }
    : { ...task, range: task.range + 1, after: null };
  return { rest, more: removals(found) };
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

function removals(sessions: readonly SessionKey[]): Task[] {
  return inMessages(sessions).map((some) => ({ job: "remove-sessions", sessions: some }));
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
