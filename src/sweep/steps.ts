/** What a step of each kind of task does. */
import { sweepDeadLetters } from "../dead-letters/dead-letter-store";
import { findNextApplication } from "../devices/application-store";
import { announceExpiringKeys } from "../keys/announce-expiring";
import { sweepIdempotencyKeys } from "../once/idempotency-keys";
import { sweepNonces } from "../once/nonces";
import { sweepSignedOut } from "../operators/operator-store";
import { expireRequests } from "../pairing/request-endings";
import { removeApplicationData, sweepApplication } from "../pairing/retention";
import { sweepSetupCodes } from "../pairing/setup-codes";
import { sweepJoinCodes } from "../session/join-codes";
import { queueDeletedOrganisations, removeDeletedOrganisation } from "./deleted-organisations";
import { listDueOrganisations } from "./due-organisations";
import {
  KEYS_PER_STEP,
  ORGANISATIONS_PER_STEP,
  OWED_EVENTS_PER_STEP,
  REQUESTS_PER_STEP,
  RETENTION_SHARES,
  ROWS_PER_DELETION,
} from "./page-sizes";
import {
  FIRST_ENDED_RANGE,
  queueDueSessions,
  queueOldSessions,
  removeOldRows,
  removeSessions,
  wakeSessions,
} from "./sweep-sessions";
import type { StepResult, SweepServices, Task } from "./tasks";

const DAY_MS = 86_400_000;
const DONE: StepResult = { rest: null, more: [] };

/** Does one bounded step of a task. */
export async function doTaskStep(deps: SweepServices, task: Task): Promise<StepResult> {
  const { db, now } = deps;
  const cutoff = now - deps.config.retentionDays * DAY_MS;
  const repeat = (count: number, page: number): StepResult =>
    count < page ? DONE : { rest: task, more: [] };
  const deleted = async (page: (limit: number) => Promise<number>) =>
    repeat(await page(ROWS_PER_DELETION), ROWS_PER_DELETION);
  switch (task.job) {
    case "setup-codes":
      return deleted((limit) => sweepSetupCodes(db, now, limit));
    case "nonces":
      return deleted((limit) => sweepNonces(db, now, limit));
    case "join-codes":
      return deleted((limit) => sweepJoinCodes(db, now, limit));
    case "signed-out-tokens":
      return deleted((limit) => sweepSignedOut(db, now, limit));
    case "idempotency-keys":
      return deleted((limit) => sweepIdempotencyKeys(db, now, limit));
    case "dead-letters":
      return deleted((limit) => sweepDeadLetters(db, cutoff, limit));
    case "owed-events":
      return repeat(await deps.events.sweep(now, OWED_EVENTS_PER_STEP), OWED_EVENTS_PER_STEP);
    case "expiring-keys":
      return repeat(await announceExpiringKeys(deps, now, KEYS_PER_STEP), KEYS_PER_STEP);
    case "pairing-requests": {
      const after = await expireRequests(deps, now, REQUESTS_PER_STEP, task.after);
      return after === null ? DONE : { rest: { ...task, after }, more: [] };
    }
    case "due-sessions":
      return queueDueSessions(deps, task);
    case "poke-sessions":
      await wakeSessions(deps, task.sessions);
      return DONE;
    case "retention":
      return findOrganisations(deps, task);
    case "old-sessions":
      return queueOldSessions(deps, task);
    case "purge-sessions":
      await removeSessions(deps, task.sessions);
      return DONE;
    case "old-rows":
      return (await removeOldRows(deps, task)) ? DONE : { rest: task, more: [] };
    case "old-pairing":
      return removeOldPairing(deps, task);
    case "deleted-organisations":
      return queueDeletedOrganisations(deps, task);
    case "deleted-organisation":
      return (await removeDeletedOrganisation(deps, task)) ? DONE : { rest: task, more: [] };
  }
}

type TaskOf<J extends Task["job"]> = Extract<Task, { job: J }>;

async function findOrganisations(
  { db }: SweepServices,
  task: TaskOf<"retention">,
): Promise<StepResult> {
  const { remainder, cutoff, after } = task;
  const share = { remainder, shares: RETENTION_SHARES, after, limit: ORGANISATIONS_PER_STEP };
  const found = await listDueOrganisations(db, share, cutoff);
  const more = found.flatMap(({ id: organisationId, ...has }): Task[] => [
    ...(has.hasSessions
      ? [
          {
            job: "old-sessions" as const,
            organisationId,
            cutoff,
            lane: FIRST_ENDED_RANGE,
            after: null,
          },
        ]
      : []),
    ...(has.hasRows ? [{ job: "old-rows" as const, organisationId, cutoff }] : []),
    ...(has.hasApplications
      ? [{ job: "old-pairing" as const, organisationId, cutoff, after: null }]
      : []),
  ]);
  const last = found.at(-1);
  const isFull = last !== undefined && found.length === ORGANISATIONS_PER_STEP;
  return { rest: isFull ? { ...task, after: last.id } : null, more };
}

/** One application, or a page of it. */
async function removeOldPairing(
  { db }: SweepServices,
  task: TaskOf<"old-pairing">,
): Promise<StepResult> {
  const { organisationId, cutoff, after } = task;
  const next = await findNextApplication(db, organisationId, after);
  if (!next) return DONE;
  const removed =
    cutoff === null
      ? await removeApplicationData(db, next.id, ROWS_PER_DELETION)
      : await sweepApplication(db, next.id, cutoff, ROWS_PER_DELETION);
  return { rest: removed < ROWS_PER_DELETION ? { ...task, after: next } : task, more: [] };
}
