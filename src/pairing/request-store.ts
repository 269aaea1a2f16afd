/** Pairing requests in D1: what reads and writes their rows. */
import { and, desc, eq, gt, inArray, lt, lte, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { pairingRequests } from "../db/schema/devices";
import { addressBucket } from "../platform/ip-address";
import {
  type PairingRequest,
  type PairingRequestOutcome,
  REQUEST_STATUSES,
  type RequestStatus,
} from "./pairing-request";

/** The columns that a request is made of. The others are for conditions: a list would carry them in vain. */
const columns = {
  status: pairingRequests.status,
  applicationId: pairingRequests.applicationId,
  id: pairingRequests.id,
  organisationId: pairingRequests.organisationId,
  deviceId: pairingRequests.deviceId,
  expiresAt: pairingRequests.expiresAt,
  requested: pairingRequests.requested,
  outcome: pairingRequests.outcome,
};
type Row = Pick<typeof pairingRequests.$inferSelect, keyof typeof columns>;

/** How a pending request is to end. A batch writes it. */
export interface RequestEnding {
  request: PairingRequest;
  status: Exclude<RequestStatus, "pending">;
  outcome: PairingRequestOutcome;
  /** A random value of this ending. It tells this ending from another one of the same request. */
  claim: string;
}

/**
 * The statement that reads the pending request of a device, whether or not its time is over. It goes
 * through all pending requests of the application.
 */
export function selectPendingRequest(db: Database, applicationId: string, deviceId: string) {
  return db
    .select(columns)
    .from(pairingRequests)
    .where(and(arePending(applicationId), eq(pairingRequests.deviceId, deviceId)));
}

/** The statement that reads a request of an application. */
export function selectRequest(db: Database, applicationId: string, id: string) {
  // `status` comes first in the primary key. All statuses are listed, so that SQLite uses the key.
  return db
    .select(columns)
    .from(pairingRequests)
    .where(isRequest(applicationId, id, REQUEST_STATUSES));
}

/** Whose requests a list has: an application's, or those of all applications of an organisation. */
export type RequestOwner = { applicationId: string } | { organisationId: number };

/** Some of the stored requests. */
export interface RequestRange {
  /** The status with which they are stored. */
  stored: RequestStatus;
  /** Only those whose time is over (Unix milliseconds) at `at`, or is not. Left out: all. */
  time?: { isOver: boolean; at: number };
}

/**
 * The statement that reads a page of a range of requests, newest first.
 * @param page `before`: the last id of the page before; null: the first page is wanted
 */
export function selectRequests(
  db: Database,
  owner: RequestOwner,
  { stored, time }: RequestRange,
  page: { before: string | null; limit: number },
) {
  const { expiresAt } = pairingRequests;
  return db
    .select(columns)
    .from(pairingRequests)
    .where(
      and(
        eq(pairingRequests.status, stored),
        "applicationId" in owner
          ? eq(pairingRequests.applicationId, owner.applicationId)
          : eq(pairingRequests.organisationId, owner.organisationId),
        page.before === null ? undefined : lt(pairingRequests.id, page.before),
        time && (time.isOver ? lte(expiresAt, time.at) : gt(expiresAt, time.at)),
      ),
    )
    .orderBy(desc(pairingRequests.id))
    .limit(page.limit);
}

/** Makes a request of its row. */
export function toPairingRequest(row: Row): PairingRequest {
  return {
    ...JSON.parse(row.requested),
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
export function requestInsertion(db: Database, request: PairingRequest, onlyIf: SQL) {
  const { status, applicationId, id, organisationId, deviceId, remoteIp, expiresAt } = request;
  const { outcome, ...requested } = request;
  return db.insert(pairingRequests).select(
    sql`select ${status}, ${applicationId}, ${id}, ${organisationId}, ${deviceId}, ${addressBucket(remoteIp)},
      ${expiresAt}, null, ${JSON.stringify(requested)},
      ${outcome === null ? null : JSON.stringify(outcome)}, ${expiresAt} where ${onlyIf}`,
  );
}

/** The statement that gives a pending request more time, where `onlyIf` holds. */
export function requestRefresh(
  db: Database,
  request: PairingRequest,
  expiresAt: number,
  onlyIf: SQL,
) {
  return db
    .update(pairingRequests)
    .set({ expiresAt })
    .where(and(isRequest(request.applicationId, request.id, ["pending"]), onlyIf));
}

/** The statement that ends a pending request where `onlyIf` holds. It returns a row if it did. */
export function requestEndingUpdate(db: Database, ending: RequestEnding, onlyIf: SQL) {
  const { request, status, outcome, claim } = ending;
  return db
    .update(pairingRequests)
    .set({ status, outcome: JSON.stringify(outcome), claim })
    .where(and(isRequest(request.applicationId, request.id, ["pending"]), onlyIf))
    .returning({ id: pairingRequests.id });
}

/** A condition for a batch: the request has ended by this ending and by no other. */
export function hasRequestEnded({ request, status, claim }: RequestEnding): SQL {
  return sql`exists (select 1 from ${pairingRequests} where status = ${status}
    and application_id = ${request.applicationId} and id = ${request.id} and claim = ${claim})`;
}

/** A condition for a batch: the request is pending, and its time is not over. */
export function isStillPending(request: PairingRequest, now: number): SQL {
  return sql`exists (select 1 from ${pairingRequests} where status = 'pending'
    and application_id = ${request.applicationId} and id = ${request.id} and expires_at > ${now})`;
}

/**
 * A condition for a batch: the pending request of the device is still the one that was read.
 * @param request the request that was read; null: there was none, and there still is none
 */
export function isPendingRequestUnchanged(
  applicationId: string,
  deviceId: string,
  request: PairingRequest | null,
): SQL {
  return sql`(select id from ${pairingRequests} where status = 'pending'
    and application_id = ${applicationId} and device_id = ${deviceId}) is ${request?.id ?? null}`;
}

/**
 * A page of the pending requests of all applications that the sweep has to look at now, those that have been
 * due for longest first. Some of them have been refreshed: their time is not over.
 */
export async function findDueRequests(
  db: Database,
  now: number,
  limit: number,
): Promise<PairingRequest[]> {
  // The index is named because SQLite would go through all pending requests by the key.
  const due = sql`(select status, application_id, id
    from ${pairingRequests} indexed by pairing_requests_due
    where status = 'pending' and sweep_at <= ${now} order by sweep_at limit ${limit})`;
  const rows = await db
    .select(columns)
    .from(pairingRequests)
    .where(sql`(status, application_id, id) in ${due}`);
  return rows.map(toPairingRequest);
}

/** The statement that has the sweep look at these pending requests again when their time is over. */
export function requestPostponement(db: Database, requests: readonly PairingRequest[]) {
  const keys = JSON.stringify(requests.map(({ applicationId, id }) => ({ applicationId, id })));
  return db
    .update(pairingRequests)
    .set({ sweepAt: sql`expires_at` })
    .where(
      sql`status = 'pending' and (application_id, id) in (
        select value ->> 'applicationId', value ->> 'id' from json_each(${keys}))`,
    );
}

/**
 * The statement that deletes a page of the requests of all applications that ended with one of these statuses.
 * @param query `before`: only requests whose ids are smaller; `endedBefore`: only requests that ended before
 *   this moment (Unix milliseconds)
 */
export function endedRequestRemoval(
  db: Database,
  query: {
    statuses: readonly Exclude<RequestStatus, "pending">[];
    before: string;
    endedBefore?: number;
    limit: number;
  },
) {
  // `status <> 'pending'` is said beside the statuses, because the index is only of such rows.
  return db.delete(pairingRequests).where(sql`(status, application_id, id) in (
    select status, application_id, id from ${pairingRequests} indexed by pairing_requests_by_age
    where status <> 'pending' and ${inArray(sql`status`, [...query.statuses])} and id < ${query.before}
      and ${hasEndedBefore(query.endedBefore)} limit ${query.limit})`);
}

/**
 * Deletes a page of the requests of an application, whatever their status.
 * @returns how many
 */
export async function removeRequests(
  db: Database,
  { applicationId, limit }: { applicationId: string; limit: number },
): Promise<number> {
  const { meta } = await db.run(sql`delete from ${pairingRequests}
    where (status, application_id, id) in (
      select status, application_id, id from ${pairingRequests}
      where ${inArray(sql`status`, [...REQUEST_STATUSES])} and application_id = ${applicationId}
      limit ${limit})`);
  return meta.changes;
}

function hasEndedBefore(moment: number | undefined): SQL {
  return moment === undefined ? sql`true` : sql`outcome ->> 'at' < ${moment}`;
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
