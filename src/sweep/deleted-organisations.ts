/** Removes the data of deleted organisations, and then the organisations. */
import { removeOrganisationKeys } from "../keys/retention";
import {
  listDeletedOrganisations,
  removeEmptyOrganisation,
} from "../organisations/organisation-store";
import { describeError, log } from "../platform/log";
import { removeNodesOfOrganisation } from "../relay-nodes/remove-nodes";
import { removeConnectionsAndPermissions } from "../relay-permissions/retention";
import { removeSources } from "../sources/source-store";
import { removeEndpoints } from "../webhooks/endpoint-store";
import { removeRecoveriesOf } from "../webhooks/recovery";
import { ORGANISATIONS_PER_STEP, ROWS_PER_DELETION } from "./page-sizes";
import {
  ORGANISATION_PARTS,
  type OrganisationPart,
  type StepResult,
  type SweepServices,
  type Task,
} from "./tasks";

/** How long after the deletion of an organisation something of it may still be written. */
const LATE_ARRIVALS_MS = 3_600_000;

/** Finds deleted organisations, and makes the tasks that end and remove everything in each of them. */
export async function queueDeletedOrganisations(
  { db }: SweepServices,
  task: Extract<Task, { job: "deleted-organisations" }>,
): Promise<StepResult> {
  const page = { after: task.after, limit: ORGANISATIONS_PER_STEP };
  const found = await listDeletedOrganisations(db, page);
  const more = found.flatMap(({ id: organisationId, deletedAt }): Task[] => [
    { job: "sessions-of-organisation", organisationId, range: 0, after: null },
    { job: "journals-of-organisation", organisationId },
    { job: "pairing-of-organisation", organisationId, after: null },
    { job: "deleted-organisation", organisationId, deletedAt },
  ]);
  const last = found.at(-1);
  const isFull = last !== undefined && found.length === ORGANISATIONS_PER_STEP;
  return { rest: isFull ? { ...task, after: last } : null, more };
}

/** Removes a part: a page of the rows of each table, or all where an organisation has few. Returns how many rows. */
type Removal = (services: SweepServices, organisationId: number) => Promise<number>;

const REMOVALS: Readonly<Record<OrganisationPart, Removal>> = {
  keys: ({ db }, id) => removeOrganisationKeys(db, id, ROWS_PER_DELETION),
  permissions: ({ db }, id) => removeConnectionsAndPermissions(db, id, ROWS_PER_DELETION),
  sources: ({ db }, id) => removeSources(db, id, ROWS_PER_DELETION),
  recoveries: ({ db }, id) => removeRecoveriesOf(db, id, ROWS_PER_DELETION),
  endpoints: ({ db }, id) => removeEndpoints(db, id).then(() => 0),
  nodes: ({ db, nodes }, id) => removeNodesOfOrganisation(db, nodes, id).then(() => 0),
};

/**
 * Removes a page of each part of a deleted organisation, and goes on with those of which there is more. A part
 * that fails does not hold up the others: the next run tries it again.
 *
 * An hour after the deletion it also removes the organisation itself. Until then, work that had begun
 * before (a message on a queue, a call with a key that an isolate still has in its cache) can write rows,
 * which later runs remove.
 */
export async function removeDeletedOrganisation(
  services: SweepServices,
  task: Extract<Task, { job: "deleted-organisation" }>,
): Promise<StepResult> {
  const { organisationId, deletedAt, parts = ORGANISATION_PARTS } = task;
  const left: OrganisationPart[] = [];
  let done = 0;
  for (const part of parts) {
    try {
      const removed = await REMOVALS[part](services, organisationId);
      if (removed < ROWS_PER_DELETION) done += 1;
      else left.push(part);
    } catch (error) {
      const work = `${task.job}: ${part}`;
      log("sweep failed", { work, organisation: organisationId, error: describeError(error) });
    }
  }
  if (left.length > 0) return { rest: { ...task, parts: left }, more: [] };
  const isOver = deletedAt < services.now - LATE_ARRIVALS_MS;
  if (isOver && done === ORGANISATION_PARTS.length) {
    await removeEmptyOrganisation(services.db, organisationId);
  }
  return { rest: null, more: [] };
}
