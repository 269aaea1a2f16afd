/** What becomes of organisations that were deleted. */
import { removeOrganisationKeys } from "../keys/retention";
import {
  listDeletedOrganisations,
  removeEmptyOrganisation,
} from "../organisations/organisation-store";
import { removePermissionsOf } from "../relay-permissions/retention";
import { removeSources } from "../sources/source-store";
import { removeEndpoints } from "../webhooks/endpoint-store";
import { DELETED_ROWS, ORGANISATIONS } from "./page-sizes";
import type { StepResult, SweepDeps, Task } from "./tasks";

/** How long after its deletion something of an organisation may still arrive. */
const LATE_ARRIVALS_MS = 3_600_000;

/** Has everything of the deleted organisations ended and removed, each by itself. */
export async function listDeleted(
  { db }: SweepDeps,
  task: Extract<Task, { job: "deleted-organisations" }>,
): Promise<StepResult> {
  const page = { after: task.after, limit: ORGANISATIONS };
  const found = await listDeletedOrganisations(db, page);
  const more = found.flatMap(({ id: organisationId, deletedAt }): Task[] => [
    { job: "old-sessions", organisationId, cutoff: null, lane: 0, after: null },
    { job: "old-rows", organisationId, cutoff: null },
    { job: "old-pairing", organisationId, cutoff: null, after: null },
    { job: "deleted-organisation", organisationId, deletedAt },
  ]);
  const last = found.at(-1);
  const isFull = last !== undefined && found.length === ORGANISATIONS;
  return { rest: isFull ? { ...task, after: last.id } : null, more };
}

/**
 * Removes a page of what a deleted organisation has beside its sessions, events and devices; true:
 * nothing of that is left. What was on its way when it was deleted (a message on a queue, a call with a
 * key that an isolate still trusted) arrives in the hour after, and goes like the rest: then the
 * organisation itself does.
 */
export async function removeDeleted(
  { db, now }: SweepDeps,
  { organisationId, deletedAt }: { organisationId: number; deletedAt: number },
): Promise<boolean> {
  await removeOrganisationKeys(db, organisationId);
  const permissions = await removePermissionsOf(db, organisationId, DELETED_ROWS);
  const sources = await removeSources(db, organisationId, DELETED_ROWS);
  await removeEndpoints(db, organisationId);
  if (permissions === DELETED_ROWS || sources === DELETED_ROWS) return false;
  if (deletedAt < now - LATE_ARRIVALS_MS) await removeEmptyOrganisation(db, organisationId);
  return true;
}
