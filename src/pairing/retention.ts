/**
 * Removes old pairing requests and removed devices, and all data of an application whose organisation was
 * deleted. The sweep calls it, one page at a time.
 */
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { removeApplication } from "../devices/application-store";
import { deleteAsRead, deleteDevices, selectRemovedDevices } from "../devices/device-store";
import { ENDED_STATUSES, MAX_NEW_REQUESTS } from "./pairing-request";
import { firstPairingRequestIdAt } from "./request-id";
import { endedRequestRemoval, removeRequests } from "./request-store";

/** Superseded requests are kept for a day only: another request of the device has taken their place. */
const SUPERSEDED_MS = 86_400_000;

/**
 * Removes a page of the ended requests and removed devices of all applications from before `cutoff` (Unix
 * milliseconds), and of requests that were superseded more than a day ago.
 * @returns how many rows were removed of the kind of which most were removed
 */
export async function removeOldPairingData(
  db: Database,
  { cutoff, limit }: { cutoff: number; limit: number },
  now: number,
): Promise<number> {
  const dayAgo = now - SUPERSEDED_MS;
  // Requests of the last hour stay, however short retention is: the limit of new requests counts them.
  const before = firstPairingRequestIdAt(Math.min(cutoff, now - MAX_NEW_REQUESTS.withinMs));
  const { requests, superseded, removed } = await runBatch(db, {
    requests: endedRequestRemoval(db, { statuses: ENDED_STATUSES, before, limit }),
    superseded: endedRequestRemoval(db, {
      statuses: ["superseded"],
      before: firstPairingRequestIdAt(dayAgo),
      endedBefore: dayAgo,
      limit,
    }),
    removed: selectRemovedDevices(db, cutoff, limit),
  });
  const devices = await deleteAsRead(db, removed);
  return Math.max(requests.meta.changes, superseded.meta.changes, devices);
}

/**
 * Removes a page of all rows of an application whose organisation was deleted. Once nothing else is left,
 * it removes the application too.
 * @returns how many rows were removed of the kind of which most were removed
 */
export async function removeApplicationData(
  db: Database,
  page: { applicationId: string; limit: number },
): Promise<number> {
  const requests = await removeRequests(db, page);
  const devices = await deleteDevices(db, page);
  const most = Math.max(requests, devices);
  // The application goes last: as long as its row is there, the sweep finds the rest.
  if (most < page.limit) await removeApplication(db, page.applicationId);
  return most;
}
