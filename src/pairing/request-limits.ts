/**
 * The limits of pairing requests: how many may be pending, and how many new ones a device may make. Two
 * conditions for the batch that stores a request hold the limits. If a batch was not stored,
 * `findExceededLimit` says which limit was the reason.
 */
import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { pairingRequests } from "../db/schema/devices";
import { addressBucket } from "../platform/ip-address";
import {
  ENDED_STATUSES,
  MAX_NEW_REQUESTS,
  MAX_PENDING_REQUESTS,
  type PairingRequest,
  REQUEST_STATUSES,
  type RequestStatus,
} from "./pairing-request";
import { firstPairingRequestIdAt } from "./request-id";

/** The limit that keeps a request out. */
export type LimitRefusal =
  | { code: "too-many-pending"; of: "address" | "application" }
  | { code: "too-many-new"; retryAfterSeconds: number };

/** The device that makes a request, and the application. */
type Requester = Pick<PairingRequest, "applicationId" | "deviceId">;

/** A condition for a batch: one more request may be pending, in this application and from this address. */
export function hasRoomForRequest(request: Requester & { remoteIp: string }, now: number): SQL {
  return sql`(select count(*) < ${MAX_PENDING_REQUESTS.perApplication}
      and ${countOfAddress(request.remoteIp)} < ${MAX_PENDING_REQUESTS.perAddress}
    from ${pairingRequests} where status = 'pending' and application_id = ${request.applicationId}
      and device_id <> ${request.deviceId} and expires_at > ${now})`;
}

/**
 * A condition for a batch: this device may make one more new request.
 * @param pending the pending request of the device. This function counts that request, which the batch is
 *   going to end. The SQL counts only requests that have ended. Another condition of the batch says that the
 *   request is still the pending one
 */
export function hasFewNewRequests(
  requester: Requester,
  pending: PairingRequest | null,
  now: number,
): SQL {
  const more = pending && pending.id >= firstCountedId(now) ? 1 : 0;
  return sql`(select count(*) < ${MAX_NEW_REQUESTS.perDevice - more} from ${pairingRequests}
    where ${areRecentOf(requester, ENDED_STATUSES, now)})`;
}

/** The limit that a request exceeds; null: none. */
export async function findExceededLimit(
  db: Database,
  request: PairingRequest,
  now: number,
): Promise<LimitRefusal | null> {
  const pending = await countPending(db, request, now);
  if (pending.address >= MAX_PENDING_REQUESTS.perAddress) {
    return { code: "too-many-pending", of: "address" };
  }
  if (pending.application >= MAX_PENDING_REQUESTS.perApplication) {
    return { code: "too-many-pending", of: "application" };
  }
  const times = await findRecentTimes(db, request, now);
  const oldest = times[MAX_NEW_REQUESTS.perDevice - 1];
  if (oldest === undefined) return null;
  const milliseconds = oldest + MAX_NEW_REQUESTS.withinMs - now;
  return { code: "too-many-new", retryAfterSeconds: Math.ceil(milliseconds / 1_000) };
}

/** How many requests of other devices are pending: in the application, and of these from the address. */
async function countPending(
  db: Database,
  request: PairingRequest,
  now: number,
): Promise<{ application: number; address: number }> {
  const rows = await db
    .select({ application: sql<number>`count(*)`, address: countOfAddress(request.remoteIp) })
    .from(pairingRequests)
    .where(
      and(
        eq(pairingRequests.status, "pending"),
        eq(pairingRequests.applicationId, request.applicationId),
        sql`device_id <> ${request.deviceId} and expires_at > ${now}`,
      ),
    );
  return rows[0] ?? { application: 0, address: 0 };
}

/** How many of the selected requests came from this client. `addressBucket` says what one client is. */
function countOfAddress(ip: string): SQL<number> {
  return sql`coalesce(sum(${pairingRequests.addressBucket} = ${addressBucket(ip)}), 0)`;
}

/** The times (Unix milliseconds) of the latest counted requests of a device, newest first, up to the limit. */
async function findRecentTimes(db: Database, requester: Requester, now: number): Promise<number[]> {
  const rows = await db
    .select({ at: sql<number>`${pairingRequests.requested} ->> 'requestedAt'` })
    .from(pairingRequests)
    .where(areRecentOf(requester, REQUEST_STATUSES, now))
    .orderBy(desc(pairingRequests.id))
    .limit(MAX_NEW_REQUESTS.perDevice);
  return rows.map(({ at }) => at);
}

/**
 * The requests of a device that are recent enough to be counted. The statement reads all requests of the
 * application from that time. They are few, and an index would cost a row for every request.
 */
function areRecentOf(
  { applicationId, deviceId }: Requester,
  statuses: readonly RequestStatus[],
  now: number,
): SQL {
  return sql`status in (select value from json_each(${JSON.stringify(statuses)}))
    and application_id = ${applicationId} and id >= ${firstCountedId(now)}
    and device_id = ${deviceId}`;
}

function firstCountedId(now: number): string {
  return firstPairingRequestIdAt(now - MAX_NEW_REQUESTS.withinMs + 1);
}
