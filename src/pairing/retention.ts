/** What is over of pairing goes after a while, and everything when its organisation is deleted. */
import type { Database } from "../db/open";
import { removeApplication } from "../devices/application-store";
import { firstRequestIdAt } from "../devices/device-ids";
import { forgetDevices } from "../devices/device-store";
import { ENDED_STATUSES, MOST_NEW, REQUEST_STATUSES } from "./pairing-request";
import { removeRequests } from "./request-store";

/** Superseded requests tell nobody anything after a day: another one of their device took their place. */
const SUPERSEDED_MS = 86_400_000;
/** Sorts behind the id of every request. */
const ALL_IDS = "pr.";

/**
 * Removes a page of an application's requests that ended and devices that were removed before `cutoff`
 * (Unix milliseconds), and of requests that were superseded a day ago; returns how many of one kind, at
 * most.
 */
export async function sweepApplication(
  db: Database,
  applicationId: string,
  cutoff: number,
  limit: number,
): Promise<number> {
  const now = Date.now();
  const dayAgo = now - SUPERSEDED_MS;
  const page = { applicationId, limit };
  // However short retention is: what a device has asked for lately counts for what it may ask for.
  const before = firstRequestIdAt(Math.min(cutoff, now - MOST_NEW.withinMs));
  const requests = await removeRequests(db, { ...page, statuses: ENDED_STATUSES, before });
  const superseded = await removeRequests(db, {
    ...page,
    statuses: ["superseded"],
    before: firstRequestIdAt(dayAgo),
    endedBefore: dayAgo,
  });
  const devices = await forgetDevices(db, { ...page, removedBefore: cutoff });
  return Math.max(requests, superseded, devices);
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
