/** What a step of each kind of task does. */
import { sweepDeadLetters } from "../dead-letters/dead-letter-store";
import { findNextApplication } from "../devices/application-store";
import { announceExpiringKeys } from "../keys/announce-expiring";
import { sweepIdempotencyKeys } from "../once/idempotency-keys";
import { sweepNonces } from "../once/nonces";
import { sweepSignedOut } from "../operators/operator-store";
import { expireRequests } from "../pairing/request-endings";
import { removeApplicationData, removeEndedPairingData } from "../pairing/retention";
import { sweepSetupCodes } from "../pairing/setup-codes";
import { sweepJoinCodes } from "../session/join-codes";
import { listDeleted, removeDeleted } from "./deleted-organisations";
import { listDueOrganisations } from "./due-organisations";
import {
  DELETED_ROWS,
  ENDED_REQUESTS,
  ORGANISATIONS,
  OWED_EVENTS,
  PAGE,
  SHARES,
} from "./page-sizes";
import {
  FIRST_ENDED_LANE,
  findDue,
  findOld,
  pokeSessions,
  purgeSessions,
  removeOldRows,
} from "./sweep-sessions";
import type { StepResult, SweepDeps, Task } from "./tasks";

const DAY_MS = 86_400_000;
const DONE: StepResult = { rest: null, more: [] };

/** Does one bounded step of a task. */
export async function doStep(deps: SweepDeps, task: Task): Promise<StepResult> {
  const { db, now } = deps;
  const cutoff = now - deps.config.retentionDays * DAY_MS;
  const repeat = (count: number, page: number): StepResult =>
    count < page ? DONE : { rest: task, more: [] };
  const deleted = async (page: (limit: number) => Promise<number>) =>
    repeat(await page(DELETED_ROWS), DELETED_ROWS);
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
      return repeat(await deps.events.sweep(now, OWED_EVENTS), OWED_EVENTS);
    case "expiring-keys":
      return repeat(await announceExpiringKeys(deps, now, PAGE), PAGE);
    case "pairing-requests": {
      const after = await expireRequests(deps, { after: task.after, limit: ENDED_REQUESTS }, now);
      return after === null ? DONE : { rest: { ...task, after }, more: [] };
    }
    case "due-sessions":
      return findDue(deps, task);
    case "poke-sessions":
      await pokeSessions(deps, task.sessions);
      return DONE;
    case "retention":
      return findOrganisations(deps, task);
    case "old-sessions":
      return findOld(deps, task);
    case "purge-sessions":
      await purgeSessions(deps, task.sessions);
      return DONE;
    case "old-rows":
      return (await removeOldRows(deps, task)) ? DONE : { rest: task, more: [] };
    case "old-pairing":
      return removeOldPairing(deps, task);
    case "deleted-organisations":
      return listDeleted(deps, task);
    case "deleted-organisation":
      return (await removeDeleted(deps, task)) ? DONE : { rest: task, more: [] };
  }
}

type TaskOf<J extends Task["job"]> = Extract<Task, { job: J }>;

async function findOrganisations(
  { db }: SweepDeps,
  task: TaskOf<"retention">,
): Promise<StepResult> {
  const { remainder, cutoff, after } = task;
  const share = { remainder, shares: SHARES, after, limit: ORGANISATIONS };
  const found = await listDueOrganisations(db, share, cutoff);
  const more = found.flatMap(({ id: organisationId, ...has }): Task[] => [
    ...(has.hasSessions
      ? [
          {
            job: "old-sessions" as const,
            organisationId,
            cutoff,
            lane: FIRST_ENDED_LANE,
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
  const isFull = last !== undefined && found.length === ORGANISATIONS;
  return { rest: isFull ? { ...task, after: last.id } : null, more };
}

/** One application, or a page of it. */
async function removeOldPairing(
  { db, now }: SweepDeps,
  task: TaskOf<"old-pairing">,
): Promise<StepResult> {
  const { organisationId, cutoff, after } = task;
  const next = await findNextApplication(db, organisationId, after);
  if (!next) return DONE;
  const page = { applicationId: next.id, limit: DELETED_ROWS };
  const removed =
    cutoff === null
      ? await removeApplicationData(db, page)
      : await removeEndedPairingData(db, { ...page, cutoff }, now);
  return { rest: removed < DELETED_ROWS ? { ...task, after: next } : task, more: [] };
}
