/**
 * Removes old pairing requests and removed devices, and all data of an application whose organisation was
 * deleted. The sweep calls it, one page at a time.
 */
import type { Database } from "../db/open";
import { removeApplication } from "../devices/application-store";
import { deleteDevices } from "../devices/device-store";
import { ENDED_STATUSES, MAX_NEW_REQUESTS, REQUEST_STATUSES } from "./pairing-request";
import { firstPairingRequestIdAt } from "./request-id";
import { removeRequests } from "./request-store";

/** Superseded requests are kept for a day only: another request of the device has taken their place. */
const SUPERSEDED_MS = 86_400_000;
/** This text sorts behind the id of every request. */
const ALL_IDS = "pr.";

/** A page of an application's rows. */
export interface PairingPage {
  applicationId: string;
  limit: number;
}

/**
 * Removes a page of an application's ended requests and removed devices from before `cutoff` (Unix
 * milliseconds), and of requests that were superseded more than a day ago.
 * @returns how many rows were removed of the kind of which most were removed
 */
export async function removeEndedPairingData(
  db: Database,
  { cutoff, ...page }: PairingPage & { cutoff: number },
  now: number,
): Promise<number> {
  const dayAgo = now - SUPERSEDED_MS;
  // Requests of the last hour stay, however short retention is: the limit of new requests counts them.
  const before = firstPairingRequestIdAt(Math.min(cutoff, now - MAX_NEW_REQUESTS.withinMs));
  const requests = await removeRequests(db, { ...page, statuses: ENDED_STATUSES, before });
  const superseded = await removeRequests(db, {
    ...page,
    statuses: ["superseded"],
    before: firstPairingRequestIdAt(dayAgo),
    endedBefore: dayAgo,
  });
  const devices = await deleteDevices(db, { ...page, removedBefore: cutoff });
  return Math.max(requests, superseded, devices);
}

/**
 * Removes a page of all rows of an application whose organisation was deleted. Once nothing else is left,
 * it removes the application too.
 * @returns how many rows were removed of the kind of which most were removed
 */
export async function removeApplicationData(db: Database, page: PairingPage): Promise<number> {
  const requests = await removeRequests(db, {
    ...page,
    statuses: REQUEST_STATUSES,
    before: ALL_IDS,
  });
  const devices = await deleteDevices(db, { ...page, removedBefore: "all" });
  const most = Math.max(requests, devices);
  // The application goes last: as long as its row is there, the sweep finds the rest.
  if (most < page.limit) await removeApplication(db, page.applicationId);
  return most;
}
