/** What becomes of organisations that were deleted. */
import { removeOrganisationKeys } from "../keys/retention";
import {
  listDeletedOrganisations,
  removeEmptyOrganisation,
} from "../organisations/organisation-store";
import { removeConnectionsAndPermissions } from "../relay-permissions/retention";
import { removeSources } from "../sources/source-store";
import { removeEndpoints } from "../webhooks/endpoint-store";
import { ORGANISATIONS_PER_STEP, ROWS_PER_DELETION } from "./page-sizes";
import type { StepResult, SweepServices, Task } from "./tasks";

/** How long after its deletion something of an organisation may still arrive. */
const LATE_ARRIVALS_MS = 3_600_000;

/** Has everything of the deleted organisations ended and removed, each by itself. */
export async function queueDeletedOrganisations(
  { db }: SweepServices,
  task: Extract<Task, { job: "deleted-organisations" }>,
): Promise<StepResult> {
  const page = { after: task.after, limit: ORGANISATIONS_PER_STEP };
  const found = await listDeletedOrganisations(db, page);
  const more = found.flatMap(({ id: organisationId, deletedAt }): Task[] => [
    { job: "old-sessions", organisationId, cutoff: null, lane: 0, after: null },
    { job: "old-rows", organisationId, cutoff: null },
    { job: "old-pairing", organisationId, cutoff: null, after: null },
    { job: "deleted-organisation", organisationId, deletedAt },
  ]);
  const last = found.at(-1);
  const isFull = last !== undefined && found.length === ORGANISATIONS_PER_STEP;
  return { rest: isFull ? { ...task, after: last.id } : null, more };
}

/**
 * Removes a page of what a deleted organisation has beside its sessions, events and devices; true:
 * nothing of that is left. What was on its way when it was deleted (a message on a queue, a call with a
 * key that an isolate still trusted) arrives in the hour after, and goes like the rest: then the
 * organisation itself does.
 */
export async function removeDeletedOrganisation(
  { db, now }: SweepServices,
  { organisationId, deletedAt }: { organisationId: number; deletedAt: number },
): Promise<boolean> {
  await removeOrganisationKeys(db, organisationId);
  const permissions = await removeConnectionsAndPermissions(db, organisationId, ROWS_PER_DELETION);
  const sources = await removeSources(db, organisationId, ROWS_PER_DELETION);
  await removeEndpoints(db, organisationId);
  if (permissions === ROWS_PER_DELETION || sources === ROWS_PER_DELETION) return false;
  if (deletedAt < now - LATE_ARRIVALS_MS) await removeEmptyOrganisation(db, organisationId);
  return true;
}
