/** What is over of pairing goes after a while, and everything when its organisation is deleted. */
import type { Database } from "../db/open";
import { removeApplication } from "../devices/application-store";
import { forgetDevices } from "../devices/device-store";
import { firstIdAt } from "../events/store";
import { REQUEST_STATUSES } from "./request";
import { removeRequests } from "./request-store";

const ENDED = REQUEST_STATUSES.filter((status) => status !== "pending");
/** Sorts behind the id of every request. */
const ALL_IDS = "pr.";

/**
 * Removes a page of an application's requests that ended and devices that were removed before `cutoff`
 * (Unix milliseconds); returns how many of one kind, at most.
 */
export async function sweepApplication(
  db: Database,
  applicationId: string,
  cutoff: number,
  limit: number,
): Promise<number> {
  const before = `pr-${firstIdAt(Math.min(cutoff, Date.now()))}`;
  const page = { applicationId, limit };
  const requests = await removeRequests(db, { ...page, statuses: ENDED, before });
  const devices = await forgetDevices(db, { ...page, removedBefore: cutoff });
  return Math.max(requests, devices);
}

/**
 * Removes a page of all that an application of a deleted organisation has, and the application itself
 * once nothing is left; returns how many of one kind, at most.
 */
export async function removeApplicationData(
  db: Database,
  applicationId: string,
  limit: number,
): Promise<number> {
  const page = { applicationId, limit };
  const requests = await removeRequests(db, {
    ...page,
    statuses: REQUEST_STATUSES,
    before: ALL_IDS,
  });
  const devices = await forgetDevices(db, { ...page, removedBefore: "all" });
  const most = Math.max(requests, devices);
  // The application last: it is what finds the rest again.
  if (most < limit) await removeApplication(db, applicationId);
  return most;
}
