/** Pairing requests in D1. */
import { and, desc, eq, inArray, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { pairingRequests } from "../db/schema/devices";
import { firstPairRequestIdAt } from "../devices/device-ids";
import { addressBucket } from "../platform/ip-address";
import {
  ENDED_STATUSES,
  MOST_NEW_REQUESTS,
  MOST_PENDING_REQUESTS,
  type PairRequest,
  type PairRequestOutcome,
  REQUEST_STATUSES,
  type RequestStatus,
} from "./pairing-request";

type Row = typeof pairingRequests.$inferSelect;

/** An ending of a request that waits for a batch. */
export interface RequestEnding {
  request: PairRequest;
  status: Exclude<RequestStatus, "pending">;
  outcome: PairRequestOutcome;
  /** Drawn for this ending. */
  claim: string;
}

/** The pending request of a device, whether or not its time is over. Reads the application's pending ones. */
export function selectPendingRequest(db: Database, applicationId: string, deviceId: string) {
  return db
    .select()
    .from(pairingRequests)
    .where(and(arePending(applicationId), eq(pairingRequests.deviceId, deviceId)));
}

/** A request of an application. */
export function selectRequest(db: Database, applicationId: string, id: string) {
  return db
    .select()
    .from(pairingRequests)
    .where(isRequest(applicationId, id, REQUEST_STATUSES));
}

/** A page of an application's requests with one status, newest first; `before` is the last id of the page before. */
export function selectRequests(
  db: Database,
  query: { applicationId: string; status: RequestStatus; before: string | null; limit: number },
) {
  return db
    .select()
    .from(pairingRequests)
    .where(
      and(
        eq(pairingRequests.status, query.status),
        eq(pairingRequests.applicationId, query.applicationId),
        query.before === null ? undefined : lt(pairingRequests.id, query.before),
      ),
    )
    .orderBy(desc(pairingRequests.id))
    .limit(query.limit);
}

/** A request as it is stored. */
export function toPairRequest(row: Row): PairRequest {
  return {
    ...JSON.parse(row.asked),
    status: row.status,
    applicationId: row.applicationId,
    id: row.id,
    organisationId: row.organisationId,
    deviceId: row.deviceId,
    expiresAt: row.expiresAt,
    outcome: row.outcome === null ? null : JSON.parse(row.outcome),
  };
}

/** The statement that stores a request where `onlyIf` holds. */
export function requestInsertion(db: Database, request: PairRequest, onlyIf: SQL) {
  const { status, applicationId, id, organisationId, deviceId, remoteIp, expiresAt } = request;
  const { outcome, ...asked } = request;
  return db.insert(pairingRequests).select(
    sql`select ${status}, ${applicationId}, ${id}, ${organisationId}, ${deviceId}, ${addressBucket(remoteIp)},
      ${expiresAt}, null, ${JSON.stringify(asked)},
      ${outcome === null ? null : JSON.stringify(outcome)} where ${onlyIf}`,
  );
}

/** The statement that lets a pending request live on, where `onlyIf` holds. */
export function requestRefresh(db: Database, request: PairRequest, expiresAt: number, onlyIf: SQL) {
  return db
    .update(pairingRequests)
    .set({ expiresAt })
    .where(and(isRequest(request.applicationId, request.id, ["pending"]), onlyIf));
}

/** The statement that ends a pending request where `onlyIf` holds; it returns a row if it did. */
export function requestEndingUpdate(db: Database, ending: RequestEnding, onlyIf: SQL) {
  const { request, status, outcome, claim } = ending;
  return db
    .update(pairingRequests)
    .set({ status, outcome: JSON.stringify(outcome), claim })
    .where(and(isRequest(request.applicationId, request.id, ["pending"]), onlyIf))
    .returning({ id: pairingRequests.id });
}

/** In a batch: whether this very ending happened. */
export function hasRequestEnded({ request, status, claim }: RequestEnding): SQL {
  return sql`exists (select 1 from ${pairingRequests} where status = ${status}
    and application_id = ${request.applicationId} and id = ${request.id} and claim = ${claim})`;
}

/** In a batch: whether this request is pending and its time is not over. */
export function isStillPending(request: PairRequest, now: number): SQL {
  return sql`exists (select 1 from ${pairingRequests} where status = 'pending'
    and application_id = ${request.applicationId} and id = ${request.id} and expires_at > ${now})`;
}

/** In a batch: whether the device's pending request is this one; null: whether it has none. */
export function isPendingRequestUnchanged(
  applicationId: string,
  deviceId: string,
  request: PairRequest | null,
): SQL {
  return sql`(select id from ${pairingRequests} where status = 'pending'
    and application_id = ${applicationId} and device_id = ${deviceId}) is ${request?.id ?? null}`;
}

/** In a batch: whether the caps leave room for one more request of this device from this address. */
export function hasRoomForRequest(
  asks: Pick<PairRequest, "applicationId" | "deviceId" | "remoteIp">,
  now: number,
): SQL {
  return sql`(select count(*) < ${MOST_PENDING_REQUESTS.perApplication}
      and ${liveOfAddress(asks.remoteIp)} < ${MOST_PENDING_REQUESTS.perAddress}
    from ${pairingRequests} where status = 'pending' and application_id = ${asks.applicationId}
      and device_id <> ${asks.deviceId} and expires_at > ${now})`;
}

/**
 * In a batch: whether this device has made few requests lately.
 * @param pending its pending one, which the batch has a condition for
 */
export function hasFewNewRequests(asks: Asker, pending: PairRequest | null, now: number): SQL {
  const more = pending && pending.id >= firstCountedId(now) ? 1 : 0;
  return sql`(select count(*) < ${MOST_NEW_REQUESTS.perDevice - more} from ${pairingRequests}
    where ${areRecentOf(asks, ENDED_STATUSES, now)})`;
}

/** When the device made its latest requests, as many as it may, newest first. Unix milliseconds. */
export async function findRecentRequestTimes(
  db: Database,
  asks: Asker,
  now: number,
): Promise<number[]> {
  const rows = await db
    .select({ at: sql<number>`${pairingRequests.asked} ->> 'requestedAt'` })
    .from(pairingRequests)
    .where(areRecentOf(asks, REQUEST_STATUSES, now))
    .orderBy(desc(pairingRequests.id))
    .limit(MOST_NEW_REQUESTS.perDevice);
  return rows.map(({ at }) => at);
}

/** Which device asks, and where. */
type Asker = Pick<PairRequest, "applicationId" | "deviceId">;

/**
 * The requests that this device has made within the time in which they are counted. Reads what the
 * whole application was asked in that time: few, and cheaper than an index that each request would
 * have to write.
 */
function areRecentOf(
  { applicationId, deviceId }: Asker,
  statuses: readonly RequestStatus[],
  now: number,
): SQL {
  return sql`status in (select value from json_each(${JSON.stringify(statuses)}))
    and application_id = ${applicationId} and id >= ${firstCountedId(now)}
    and device_id = ${deviceId}`;
}

function firstCountedId(now: number): string {
  return firstPairRequestIdAt(now - MOST_NEW_REQUESTS.withinMs + 1);
}

/** How many live requests there are of others than this device: in the application, and from the address. */
export async function countPendingRequests(
  db: Database,
  asks: Pick<PairRequest, "applicationId" | "deviceId" | "remoteIp">,
  now: number,
): Promise<{ application: number; address: number }> {
  const rows = await db
    .select({
      application: sql<number>`count(*)`,
      address: liveOfAddress(asks.remoteIp),
    })
    .from(pairingRequests)
    .where(
      and(
        arePending(asks.applicationId),
        sql`device_id <> ${asks.deviceId} and expires_at > ${now}`,
      ),
    );
  return rows[0] ?? { application: 0, address: 0 };
}

/** Where a page of the requests of all applications goes on: after this one. */
export type RequestPosition = Pick<PairRequest, "applicationId" | "id">;

/**
 * A page of the pending requests of all applications whose time is over. Its pages read all that are
 * pending: few at any time, and cheaper than an index that each request would have to write.
 */
export async function findExpiredRequests(
  db: Database,
  now: number,
  { after, limit }: { after: RequestPosition | null; limit: number },
): Promise<PairRequest[]> {
  const rows = await db
    .select()
    .from(pairingRequests)
    .where(
      and(
        eq(pairingRequests.status, "pending"),
        sql`expires_at <= ${now}`,
        after === null
          ? undefined
          : sql`(${pairingRequests.applicationId}, ${pairingRequests.id}) > (${after.applicationId}, ${after.id})`,
      ),
    )
    .orderBy(pairingRequests.applicationId, pairingRequests.id)
    .limit(limit);
  return rows.map(toPairRequest);
}

/**
 * Removes a page of an application's requests from before an id, of the given statuses; returns how many.
 * @param query `endedBefore`: only those that ended before this moment, Unix milliseconds
 */
export async function removeRequests(
  db: Database,
  query: {
    applicationId: string;
    statuses: readonly RequestStatus[];
    before: string;
    endedBefore?: number;
    limit: number;
  },
): Promise<number> {
  const ended =
    query.endedBefore === undefined
      ? sql`true`
      : sql`${pairingRequests.outcome} ->> 'at' < ${query.endedBefore}`;
  const { meta } = await db.run(sql`delete from ${pairingRequests}
    where (status, application_id, id) in (
      select status, application_id, id from ${pairingRequests}
      where status in (select value from json_each(${JSON.stringify(query.statuses)}))
        and application_id = ${query.applicationId} and id < ${query.before} and ${ended} limit ${query.limit})`);
  return meta.changes;
}

/** Of requests, how many came from this client: see `addressBucket`. */
function liveOfAddress(ip: string): SQL<number> {
  return sql`coalesce(sum(${pairingRequests.addressBucket} = ${addressBucket(ip)}), 0)`;
}

function arePending(applicationId: string) {
  return and(
    eq(pairingRequests.status, "pending"),
    eq(pairingRequests.applicationId, applicationId),
  );
}

function isRequest(applicationId: string, id: string, statuses: readonly RequestStatus[]) {
  return and(
    inArray(pairingRequests.status, [...statuses]),
    eq(pairingRequests.applicationId, applicationId),
    eq(pairingRequests.id, id),
  );
}
