/** Does one step of a task: for each kind of task, calls the room that the work belongs to. */
import { sweepDeadLetters } from "../dead-letters/dead-letter-store";
import { findNextApplication } from "../devices/application-store";
import { announceExpiringKeys } from "../keys/announce-expiring";
import { sweepIdempotencyKeys } from "../once/idempotency-keys";
import { sweepNonces } from "../once/nonces";
import { sweepSignedOut } from "../operators/operator-store";
import { expireRequests } from "../pairing/request-endings";
import { removeApplicationData, removeOldPairingData } from "../pairing/retention";
import { sweepSetupCodes } from "../pairing/setup-codes";
import { sweepJoinCodes } from "../session/join-codes";
import { sweepRecoveries } from "../webhooks/recovery";
import { reportDatabaseSize } from "./database-size";
import { queueDeletedOrganisations, removeDeletedOrganisation } from "./deleted-organisations";
import {
  KEYS_PER_STEP,
  OWED_EVENTS_PER_STEP,
  REQUESTS_PER_STEP,
  ROWS_PER_DELETION,
} from "./page-sizes";
import { dropJournals, queueJournalsOf, queueOldJournals } from "./sweep-journals";
import {
  queueDueSessions,
  queueEndedRelays,
  queueOldSources,
  queueSessionsOf,
  removeEndedRelays,
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
    case "recoveries":
      return deletePage((limit) => sweepRecoveries(db, retentionCutoff(services), limit));
    case "old-pairing": {
      const cutoff = retentionCutoff(services);
      return deletePage((limit) => removeOldPairingData(db, { cutoff, limit }, now));
    }
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
    case "pairing-requests":
      return repeatIfFull(
        await expireRequests(services, REQUESTS_PER_STEP, now),
        REQUESTS_PER_STEP,
      );
    case "due-sessions":
      return queueDueSessions(services, task);
    case "wake-sessions":
      await wakeSessions(services, task.sessions);
      return DONE;
    case "ended-relays":
      return queueEndedRelays(services, task);
    case "remove-ended-relays":
      await removeEndedRelays(services, task.sessions);
      return DONE;
    case "old-sources":
      return queueOldSources(services, task);
    case "sessions-of-organisation":
      return queueSessionsOf(services, task);
    case "remove-sessions":
      await removeSessions(services, task.sessions);
      return DONE;
    case "pairing-of-organisation":
      return removePairingOf(services, task);
    case "deleted-organisations":
      return queueDeletedOrganisations(services, task);
    case "deleted-organisation":
      return removeDeletedOrganisation(services, task);
    default:
      // A message that an older or newer Worker has left on the queue. A run of this one finds the work itself.
      task satisfies never;
      return DONE;
  }
}

/**
 * Removes a page of all pairing data of one application of a deleted organisation, and goes on with the next one
 * when none is left.
 */
async function removePairingOf(
  { db }: SweepServices,
  task: Extract<Task, { job: "pairing-of-organisation" }>,
): Promise<StepResult> {
  const next = await findNextApplication(db, task.organisationId, task.after);
  if (!next) return DONE;
  const page = { applicationId: next.id, limit: ROWS_PER_DELETION };
  const removed = await removeApplicationData(db, page);
  return { rest: removed < ROWS_PER_DELETION ? { ...task, after: next } : task, more: [] };
}
