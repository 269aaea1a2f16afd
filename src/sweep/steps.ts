/** Does one step of a task: for each kind of task, calls the room that the work belongs to. */
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
import { endedToRemove } from "../session/session-key";
import { reportDatabaseSize } from "./database-size";
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
import { dropJournals, queueJournalsOf, queueOldJournals } from "./sweep-journals";
import {
  FIRST_OLD_RANGE,
  queueDueSessions,
  queueEndedRelays,
  queueOldSessions,
  removeEndedRelays,
  removeOldRows,
  removeSessions,
  wakeSessions,
} from "./sweep-sessions";
import { retentionCutoff, type StepResult, type SweepServices, type Task } from "./tasks";

const DONE: StepResult = { rest: null, more: [] };

/** Does one step of a task: one page of its work. */
export async function doTaskStep(services: SweepServices, task: Task): Promise<StepResult> {
  const { db, now } = services;
  const again: StepResult = { rest: task, more: [] };
  /** A full page means that there may be more to do. */
  const repeatIfFull = (count: number, page: number) => (count < page ? DONE : again);
  const deletePage = async (deleteRows: (limit: number) => Promise<number>) =>
    repeatIfFull(await deleteRows(ROWS_PER_DELETION), ROWS_PER_DELETION);
  switch (task.job) {
    case "setup-codes":
      return deletePage((limit) => sweepSetupCodes(db, now, limit));
    case "nonces":
      return deletePage((limit) => sweepNonces(db, now, limit));
    case "join-codes":
      return deletePage((limit) => sweepJoinCodes(db, now, limit));
    case "signed-out-tokens":
      return deletePage((limit) => sweepSignedOut(db, now, limit));
    case "idempotency-keys":
      return deletePage((limit) => sweepIdempotencyKeys(db, now, limit));
    case "dead-letters":
      return deletePage((limit) => sweepDeadLetters(db, retentionCutoff(services), limit));
    case "owed-events": {
      const page = { after: task.after, limit: OWED_EVENTS_PER_STEP };
      const after = await services.events.sweep(now, page);
      return after === null ? DONE : { rest: { ...task, after }, more: [] };
    }
    case "old-journals":
      return queueOldJournals(services, task);
    case "journals-of-organisation":
      return queueJournalsOf(services, task);
    case "drop-journals":
      await dropJournals(services, task.journals);
      return DONE;
    case "expiring-keys":
      return repeatIfFull(await announceExpiringKeys(services, now, KEYS_PER_STEP), KEYS_PER_STEP);
    case "database-size":
      await reportDatabaseSize(services);
      return DONE;
    case "pairing-requests": {
      const page = { after: task.after, limit: REQUESTS_PER_STEP };
      const after = await expireRequests(services, page, now);
      return after === null ? DONE : { rest: { ...task, after }, more: [] };
    }
    case "due-sessions":
      return queueDueSessions(services, task);
    case "wake-sessions":
      await wakeSessions(services, task.sessions);
      return DONE;
    case "retention":
      return queueRetention(services, task);
    case "ended-relays":
      return queueEndedRelays(services, task);
    case "remove-ended-relays":
      await removeEndedRelays(services, task.sessions);
      return DONE;
    case "old-sessions":
      return queueOldSessions(services, task);
    case "remove-sessions":
      await removeSessions(services, task.sessions);
      return DONE;
    case "old-rows":
      return (await removeOldRows(services, task)) ? DONE : again;
    case "old-pairing":
      return removeOldPairing(services, task);
    case "deleted-organisations":
      return queueDeletedOrganisations(services, task);
    case "deleted-organisation":
      return (await removeDeletedOrganisation(services, task)) ? DONE : again;
  }
}

type TaskOf<J extends Task["job"]> = Extract<Task, { job: J }>;

/** Looks at one share of the organisations, and makes a task for each kind of rows to remove of each. */
async function queueRetention(
  { db, now }: SweepServices,
  task: TaskOf<"retention">,
): Promise<StepResult> {
  const { remainder, cutoff, after } = task;
  const share = { remainder, shares: RETENTION_SHARES, after, limit: ORGANISATIONS_PER_STEP };
  const ended = endedToRemove(now);
  const found = await listDueOrganisations(db, share, { cutoff, ended });
  const more = found.flatMap(({ id: organisationId, ...has }): Task[] => [
    ...(has.hasEndedRelays
      ? [{ job: "ended-relays" as const, organisationId, ended, after: null }]
      : []),
    ...(has.hasSessions
      ? [
          {
            job: "old-sessions" as const,
            organisationId,
            cutoff,
            range: FIRST_OLD_RANGE,
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

/** Removes a page of the old pairing data of one application, and goes on with the next one when none is left. */
async function removeOldPairing(
  { db, now }: SweepServices,
  task: TaskOf<"old-pairing">,
): Promise<StepResult> {
  const { organisationId, cutoff, after } = task;
  const next = await findNextApplication(db, organisationId, after);
  if (!next) return DONE;
  const page = { applicationId: next.id, limit: ROWS_PER_DELETION };
  const removed =
    cutoff === null
      ? await removeApplicationData(db, page)
      : await removeEndedPairingData(db, { ...page, cutoff }, now);
  return { rest: removed < ROWS_PER_DELETION ? { ...task, after: next } : task, more: [] };
}
