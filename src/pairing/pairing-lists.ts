/**
 * The lists of requests and devices that operators see. What is asked of an application is null when the
 * organisation has no such application.
 */
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { type ApplicationRef, selectApplication } from "../devices/application-store";
import {
  type DevicePosition,
  type DeviceWithLastSeen,
  selectDevice,
  selectDevices,
  toDevice,
} from "../devices/device-store";
import {
  isExpired,
  type PairingRequest,
  REQUEST_STATUSES,
  type RequestStatus,
} from "./pairing-request";
import {
  type RequestOwner,
  type RequestRange,
  selectRequests,
  toPairingRequest,
} from "./request-store";

/** All pending requests and all paired devices of an application, newest first. */
export async function listPendingAndPaired(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  now: number,
): Promise<{ pending: PairingRequest[]; paired: DeviceWithLastSeen[] } | null> {
  const all = { before: null, after: null, limit: Number.MAX_SAFE_INTEGER };
  const { applications, requests, devices } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    requests: selectRequests(db, { applicationId }, stillPending(now), all),
    devices: selectDevices(db, { ...all, applicationId }),
  });
  if (!applications[0]) return null;
  return { pending: requests.map(toPairingRequest), paired: devices.map(toDevice) };
}

/** Which requests a list has, and which page of it. */
export interface RequestListQuery {
  /** Only requests that count as this; null: all. */
  status: RequestStatus | null;
  /** The last id of the page before; null: the first page is wanted. */
  before: string | null;
  limit: number;
}

/**
 * A page of an application's requests, newest first. A request whose time is over is shown as expired,
 * whether or not the sweep has recorded that.
 */
export async function listPairingRequests(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  query: RequestListQuery,
  now: number,
): Promise<PairingRequest[] | null> {
  const { applications, ranges } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    ranges: selectRequestPage(db, { applicationId }, query, now),
  });
  return applications[0] ? toRequestPage(ranges, query, now) : null;
}

/** As `listPairingRequests`, for the requests of all applications of an organisation. */
export async function listRequestsOfOrganisation(
  db: Database,
  organisationId: number,
  query: RequestListQuery,
  now: number,
): Promise<PairingRequest[]> {
  const statements = selectRequestPage(db, { organisationId }, query, now);
  const [only] = statements;
  // One statement needs no transaction. Outside of a batch its rows are mapped once, and not twice.
  if (only && statements.length === 1) return toRequestPage([await only], query, now);
  const { ranges } = await runBatch(db, { ranges: statements });
  return toRequestPage(ranges, query, now);
}

/** The statements that read a page of requests: of each range in which some of them may be, as many. */
function selectRequestPage(
  db: Database,
  owner: RequestOwner,
  query: RequestListQuery,
  now: number,
) {
  return rangesOf(query.status, now).map((range) => selectRequests(db, owner, range, query));
}

/** The requests that somebody can still decide about. */
function stillPending(now: number): RequestRange {
  return { stored: "pending", time: { isOver: false, at: now } };
}

/** Where the requests are stored that count as this now; null: all requests. */
function rangesOf(status: RequestStatus | null, now: number): RequestRange[] {
  if (status === null) return REQUEST_STATUSES.map((stored) => ({ stored }));
  if (status === "pending") return [stillPending(now)];
  const ended: RequestRange = { stored: status };
  if (status !== "expired") return [ended];
  return [ended, { stored: "pending", time: { isOver: true, at: now } }];
}

/** The page that these ranges make together. */
function toRequestPage(
  ranges: readonly Awaited<ReturnType<typeof selectRequests>>[],
  { limit }: RequestListQuery,
  now: number,
): PairingRequest[] {
  return ranges
    .flat()
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, limit)
    .map(toPairingRequest)
    .map((request) =>
      request.status === "pending" && isExpired(request, now)
        ? { ...request, status: "expired" as const }
        : request,
    );
}

/** A page of an application's paired devices, newest first. */
export async function listDevices(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  query: { after: DevicePosition | null; limit: number },
): Promise<DeviceWithLastSeen[] | null> {
  const { applications, devices } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    devices: selectDevices(db, { ...query, applicationId }),
  });
  return applications[0] ? devices.map(toDevice) : null;
}

/** A paired device of an application. `undefined`: the application has no such device. */
export async function findDevice(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  deviceId: string,
): Promise<DeviceWithLastSeen | undefined | null> {
  const { applications, devices } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    devices: selectDevice(db, applicationId, deviceId),
  });
  if (!applications[0]) return null;
  const device = devices[0] ? toDevice(devices[0]) : undefined;
  return device?.removedAt === null ? device : undefined;
}
