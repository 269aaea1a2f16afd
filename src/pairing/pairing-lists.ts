/**
 * The lists of an application's requests and devices that operators see. The functions of this file
 * return null when the organisation has no such application.
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
  MAX_PENDING_REQUESTS,
  type PairingRequest,
  REQUEST_STATUSES,
  type RequestStatus,
} from "./pairing-request";
import { selectRequests, toPairingRequest } from "./request-store";

/** Twice the limit of pending requests: some that are over may not be swept yet. */
const MAX_STORED_AS_PENDING = 2 * MAX_PENDING_REQUESTS.perApplication;

/** All pending requests and all paired devices of an application, newest first. */
export async function listPendingAndPaired(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  now: number,
): Promise<{ pending: PairingRequest[]; paired: DeviceWithLastSeen[] } | null> {
  const all = { applicationId, before: null, after: null, limit: Number.MAX_SAFE_INTEGER };
  const { applications, requests, devices } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    requests: selectRequests(db, { ...all, status: "pending" }),
    devices: selectDevices(db, all),
  });
  if (!applications[0]) return null;
  const pending = requests.map(toPairingRequest).filter((request) => !isExpired(request, now));
  return { pending, paired: devices.map(toDevice) };
}

/**
 * A page of an application's requests, newest first. A request whose time is over is shown as expired,
 * whether or not the sweep has recorded that.
 * @param query `status`: only requests with it; null: with any. `before`: the last id of the page before
 */
export async function listPairingRequests(
  db: Database,
  { organisationId, applicationId }: ApplicationRef,
  query: { status: RequestStatus | null; before: string | null; limit: number },
  now: number,
): Promise<PairingRequest[] | null> {
  const page = (status: RequestStatus) =>
    // All requests that are stored as pending are read, because some of them may have expired. They are few.
    selectRequests(db, {
      ...query,
      applicationId,
      status,
      limit: status === "pending" ? MAX_STORED_AS_PENDING : query.limit,
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
    .map(toPairingRequest)
    .map((request) =>
      request.status === "pending" && isExpired(request, now)
        ? { ...request, status: "expired" as const }
        : request,
    )
    .filter((request) => query.status === null || request.status === query.status)
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, query.limit);
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
