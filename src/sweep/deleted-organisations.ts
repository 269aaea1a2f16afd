/** Removes the data of deleted organisations, and then the organisations. */
import { removeOrganisationKeys } from "../keys/retention";
import {
  listDeletedOrganisations,
  removeEmptyOrganisation,
} from "../organisations/organisation-store";
import { removeNodesOfOrganisation } from "../relay-nodes/remove-nodes";
import { removeConnectionsAndPermissions } from "../relay-permissions/retention";
import { removeSources } from "../sources/source-store";
import { removeEndpoints } from "../webhooks/endpoint-store";
import { removeRecoveriesOf } from "../webhooks/recovery";
import { ORGANISATIONS_PER_STEP, ROWS_PER_DELETION } from "./page-sizes";
import type { StepResult, SweepServices, Task } from "./tasks";

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

/**
 * Removes a page of a deleted organisation's keys, permissions, sources, recoveries, endpoints and relay nodes.
 * True: none is left.
 * An hour after the deletion it also removes the organisation itself. Until then, work that had begun
 * before (a message on a queue, a call with a key that an isolate still has in its cache) can write rows,
 * which later runs remove.
 */
export async function removeDeletedOrganisation(
  { db, now, nodes }: SweepServices,
  { organisationId, deletedAt }: { organisationId: number; deletedAt: number },
): Promise<boolean> {
  await removeOrganisationKeys(db, organisationId);
  const permissions = await removeConnectionsAndPermissions(db, organisationId, ROWS_PER_DELETION);
  const sources = await removeSources(db, organisationId, ROWS_PER_DELETION);
  const recoveries = await removeRecoveriesOf(db, organisationId, ROWS_PER_DELETION);
  await removeEndpoints(db, organisationId);
  await removeNodesOfOrganisation(db, nodes, organisationId);
  if ([permissions, sources, recoveries].includes(ROWS_PER_DELETION)) return false;
  if (deletedAt < now - LATE_ARRIVALS_MS) await removeEmptyOrganisation(db, organisationId);
  return true;
}
