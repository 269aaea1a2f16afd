/** What operators see: an application's requests and devices. Null: there is no such application. */
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { selectApplication } from "../devices/application-store";
import {
  type DevicePosition,
  type DeviceWithLastSeen,
  selectDevice,
  selectDevices,
  toDevice,
} from "../devices/device-store";
import {
  isExpired,
  MOST_PENDING_REQUESTS,
  type PairRequest,
  REQUEST_STATUSES,
  type RequestStatus,
} from "./pairing-request";
import { selectRequests, toPairRequest } from "./request-store";

/** An application, and whose. */
export interface ApplicationRef {
  organisationId: number;
  applicationId: string;
}

/** All live requests and all devices of an application, newest first. */
export async function listPendingAndPaired(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  now: number,
): Promise<{ pending: PairRequest[]; paired: DeviceWithLastSeen[] } | null> {
  const all = { applicationId, before: null, after: null, limit: Number.MAX_SAFE_INTEGER };
  const { applications, requests, devices } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    requests: selectRequests(db, { ...all, status: "pending" }),
    devices: selectDevices(db, all),
  });
  if (!applications[0]) return null;
  const pending = requests.map(toPairRequest).filter((request) => !isExpired(request, now));
  return { pending, paired: devices.map(toDevice) };
}

/**
 * A page of an application's requests, newest first; null for `status`: of all statuses. A request
 * whose time is over is shown as expired, whether or not the sweep has recorded it.
 */
export async function listPairRequests(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  query: { status: RequestStatus | null; before: string | null; limit: number },
  now: number,
): Promise<PairRequest[] | null> {
  const page = (status: RequestStatus) =>
    // The few pending ones are all read: some may be expired ones by now.
    selectRequests(db, {
      ...query,
      applicationId,
      status,
      limit: status === "pending" ? PENDING_AT_MOST : query.limit,
    });
  const statuses = REQUEST_STATUSES.filter(
    (status) =>
      query.status === null ||
      status === query.status ||
      (status === "pending" && query.status === "expired"),
  );
  const { applications, pages } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    pages: statuses.map(page),
  });
  if (!applications[0]) return null;
  return pages
    .flat()
    .map(toPairRequest)
    .map((request) =>
      request.status === "pending" && isExpired(request, now)
        ? { ...request, status: "expired" as const }
        : request,
    )
    .filter((request) => query.status === null || request.status === query.status)
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, query.limit);
}

/** A page of an application's devices, newest first. */
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

/** A paired device of an application: `undefined` when there is none. */
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

/** Live ones, and as many again that are over and not yet swept. */
const PENDING_AT_MOST = 2 * MOST_PENDING_REQUESTS.perApplication;
