/** What is over of pairing goes after a while, and everything when its organisation is deleted. */
import type { Database } from "../db/open";
import { listApplicationIds, removeApplication } from "../devices/application-store";
import { forgetDevices } from "../devices/device-store";
import { firstRequestIdAt } from "../devices/ids";
import { ENDED_STATUSES, REQUEST_STATUSES } from "./request";
import { removeRequests } from "./request-store";

/** Superseded requests tell nobody anything after a day: another one of their device took their place. */
const SUPERSEDED_MS = 86_400_000;
/** Sorts behind the id of every request. */
const ALL_IDS = "pr.";

/**
 * Removes a page of an organisation's requests that ended and devices that were removed before
 * `cutoff` (Unix milliseconds), and of requests that were superseded a day ago; returns how many of one
 * kind in one application, at most.
 */
export async function sweepDeviceData(
  db: Database,
  organisationId: number,
  cutoff: number,
  limit: number,
): Promise<number> {
  let most = 0;
  const now = Date.now();
  const dayAgo = now - SUPERSEDED_MS;
  for (const applicationId of await listApplicationIds(db, organisationId)) {
    const before = firstRequestIdAt(Math.min(cutoff, now));
    const page = { applicationId, limit };
    const requests = await removeRequests(db, { ...page, statuses: ENDED_STATUSES, before });
    const superseded = await removeRequests(db, {
      ...page,
      statuses: ["superseded"],
      before: firstRequestIdAt(dayAgo),
      endedBefore: dayAgo,
    });
    const devices = await forgetDevices(db, { ...page, removedBefore: cutoff });
    most = Math.max(most, requests, superseded, devices);
  }
  return most;
}

/**
 * Removes all that a deleted organisation has of pairing, in so many pages for each application; what is
 * left is for the next run.
 */
export async function removeDeviceData(
  db: Database,
  organisationId: number,
  limit: number,
  mostPages: number,
): Promise<void> {
  for (const applicationId of await listApplicationIds(db, organisationId)) {
    const page = { applicationId, limit };
    let full = true;
    for (let i = 0; i < mostPages && full; i++) {
      const requests = await removeRequests(db, {
        ...page,
        statuses: REQUEST_STATUSES,
        before: ALL_IDS,
      });
      const devices = await forgetDevices(db, { ...page, removedBefore: "all" });
      full = requests === limit || devices === limit;
    }
    // The application last: it is what finds the rest again.
    if (!full) await removeApplication(db, applicationId);
  }
}
