/** The sweep's steps for journals: drops those whose day retention has reached, and those of deleted organisations. */

import type { JournalClient } from "../events/journal-client";
import { dayAt, isDayOver, type JournalKey } from "../events/journal-key";
import {
  forgetJournals,
  listJournals,
  listOldJournals,
  registerJournal,
} from "../events/journal-registry";
import { describeError, log } from "../platform/log";
import { sideBySide } from "../platform/side-by-side";
import { JOURNALS_PER_MESSAGE, JOURNALS_PER_STEP, OBJECTS_AT_ONCE } from "./page-sizes";
import { retentionCutoff, type StepResult, type SweepServices, type Task } from "./tasks";

/** Finds a page of journals of which everything is older than retention allows. */
export async function queueOldJournals(
  services: SweepServices,
  task: Extract<Task, { job: "old-journals" }>,
): Promise<StepResult> {
  const lastDay = dayAt(retentionCutoff(services)) - 1;
  const old = await listOldJournals(services.db, lastDay, task.after, JOURNALS_PER_STEP);
  const last = old.at(-1);
  const isFull = last !== undefined && old.length === JOURNALS_PER_STEP;
  return { rest: isFull ? { ...task, after: last } : null, more: inMessages(old) };
}

/** Finds the journals of a deleted organisation. */
export async function queueJournalsOf(
  { db }: SweepServices,
  { organisationId }: Extract<Task, { job: "journals-of-organisation" }>,
): Promise<StepResult> {
  const all = { from: null, until: null };
  const found = await listJournals(db, organisationId, all, JOURNALS_PER_STEP);
  return { rest: null, more: inMessages(found) };
}

/**
 * Drops journals, the objects before their rows in D1: if an object fails, the next run finds it again by its
 * row. The journal of a deleted organisation, of a day that is not too old, may get an event after it was dropped
 * and before its row is removed. So such an object is dropped once more, and gets its row back if that fails.
 */
export async function dropJournals(
  {
    db,
    config,
    events: { journals },
    now,
  }: Pick<SweepServices, "db" | "config" | "events" | "now">,
  keys: readonly JournalKey[],
): Promise<void> {
  const dropped = await dropObjects(journals, keys);
  await forgetJournals(db, dropped);
  const open = dropped.filter(({ day }) => !isDayOver(day, config.retentionDays, now));
  const droppedAgain = await dropObjects(journals, open);
  for (const key of open) {
    if (!droppedAgain.includes(key)) await registerJournal(db, key);
  }
}

/** Drops the objects of journals; returns those of which this was done. */
async function dropObjects(
  journals: JournalClient,
  keys: readonly JournalKey[],
): Promise<JournalKey[]> {
  const dropped: JournalKey[] = [];
  await sideBySide(keys, OBJECTS_AT_ONCE, async (key) => {
    try {
      await journals.call(key, (journal) => journal.drop());
      dropped.push(key);
    } catch (error) {
      log("sweep item failed", { ...key, error: describeError(error) });
    }
  });
  return dropped;
}

function inMessages(keys: readonly JournalKey[]): Task[] {
  const tasks: Task[] = [];
  for (let i = 0; i < keys.length; i += JOURNALS_PER_MESSAGE) {
    tasks.push({ job: "drop-journals", journals: keys.slice(i, i + JOURNALS_PER_MESSAGE) });
  }
  return tasks;
}
