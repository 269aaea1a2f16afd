/**
 * Operators approve and reject pairing requests. If two decisions are made on the same request, the one
 * that still finds it pending wins, and the other caller learns how the request has ended.
 */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { pairingRequests } from "../db/schema/devices";
import type { Actor } from "../devices/actor";
import { selectApplication } from "../devices/application-store";
import { closeDeviceSocketsNow } from "../devices/close-sockets";
import { approveDevice, type Device, hasLostAccess } from "../devices/device";
import type { DeviceServices } from "../devices/device-services";
import { deviceWrite, isDeviceUnchanged, selectDevice, toDevice } from "../devices/device-store";
import { withSocketsToClose } from "./pairing-events";
import {
  type ApprovalRefusal,
  type ApprovalTerms,
  judgeApproval,
  type PairingRequest,
  type PairingRequestOutcome,
  REQUEST_STATUSES,
  type RequestStatus,
  statusAt,
} from "./pairing-request";
import { endingOf } from "./request-endings";
import {
  hasRequestEnded,
  requestEndingUpdate,
  selectRequest,
  toPairingRequest,
} from "./request-store";

/** Why nothing was decided. Nothing was changed. */
export type DecisionRefusal =
  | { code: "application-not-found" }
  | { code: "request-not-found" }
  | { code: "request-ended"; status: Exclude<RequestStatus, "pending"> }
  | ApprovalRefusal;

/** A decided request with its device (null: it was rejected), or why nothing was decided. */
export type DecisionResult =
  | { ok: true; request: PairingRequest; device: Device | null }
  | { ok: false; refusal: DecisionRefusal };

/** A request of an application of the actor's organisation. */
export interface RequestRef {
  applicationId: string;
  requestId: string;
}

/** Approves a pending request, or some of it. From then on the device has that access and nothing else. */
export function approveRequest(
  services: DeviceServices,
  actor: Actor,
  { terms, ...ref }: RequestRef & { terms: ApprovalTerms },
  now: number,
): Promise<DecisionResult> {
  const judge = (request: PairingRequest) => judgeApproval(request, terms, actor.permissions);
  return decide(services, actor, { ...ref, judge }, now);
}

/** Rejects a pending request. */
export function rejectRequest(
  services: DeviceServices,
  actor: Actor,
  { reason, ...ref }: RequestRef & { reason: string | null },
  now: number,
): Promise<DecisionResult> {
  const judge = () => ({ ok: true as const, granted: null, reason });
  return decide(services, actor, { ...ref, judge }, now);
}

/** What an operator decides on a request: `granted` is null when it is rejected. */
type Verdict =
  | { ok: true; granted: PairingRequestOutcome["granted"]; reason?: string | null }
  | { ok: false; refusal: ApprovalRefusal };

async function decide(
  services: DeviceServices,
  actor: Actor,
  { judge, ...ref }: RequestRef & { judge: (request: PairingRequest) => Verdict },
  now: number,
): Promise<DecisionResult> {
  return retryChange<DecisionResult>(`the pairing request ${ref.requestId}`, async () => {
    const found = await readRequestAndDevice(services, actor.organisationId, ref);
    if ("code" in found) return { ok: false, refusal: found };
    const { request, before } = found;
    const status = statusAt(request, now);
    if (status !== "pending") return { ok: false, refusal: { code: "request-ended", status } };
    const verdict = judge(request);
    if (!verdict.ok) return verdict;
    return writeDecision(services, actor, { request, before, verdict }, now);
  });
}

/** Writes a decision. Undefined: the request or the device was changed in between, and nothing was written. */
async function writeDecision(
  services: DeviceServices,
  actor: Actor,
  decision: {
    request: PairingRequest;
    before: Device | null;
    verdict: Extract<Verdict, { ok: true }>;
  },
  now: number,
): Promise<DecisionResult | undefined> {
  const { db, events } = services;
  const { request, before } = decision;
  const { granted, reason = null } = decision.verdict;
  const { ending, event } = endingOf(request, granted ? "approved" : "rejected", now, {
    decidedBy: actor.keyId,
    decidedByEmail: actor.session?.email ?? null,
    granted,
    reason,
  });
  const device = granted
    ? approveDevice({ before, request, granted, awaiting: request.id }, now)
    : null;
  const lostAccess = before && device && hasLostAccess(before, device) ? device : null;
  const owed = [lostAccess ? withSocketsToClose(event, lostAccess) : event];
  // The statement that ends the request checks that it is still pending. An approval also needs the
  // device to be as it was read. `hasRequestEnded` becomes true by that first statement and stays true:
  // the statements after it may therefore come in any order.
  const onlyIf = device
    ? isDeviceUnchanged(request.applicationId, request.deviceId, before)
    : sql`true`;
  const { ended } = await runBatch(db, {
    ended: requestEndingUpdate(db, ending, onlyIf),
    device: device ? [deviceWrite(db, before, device, hasRequestEnded(ending))] : [],
    events: events.insertion(owed, hasRequestEnded(ending)),
  });
  if (ended.length === 0) return undefined;
  events.sendAfterAnswer(owed);
  if (lostAccess) await closeDeviceSocketsNow(services, lostAccess);
  const { status, outcome } = ending;
  return { ok: true, request: { ...request, status, outcome }, device };
}

/** Reads a request and its device, if that was ever paired. All statements run in one batch. */
async function readRequestAndDevice(
  { db }: DeviceServices,
  organisationId: number,
  { applicationId, requestId }: RequestRef,
): Promise<
  | { request: PairingRequest; before: Device | null }
  | { code: "application-not-found" | "request-not-found" }
> {
  // `status` comes first in the primary key. All statuses are listed, so that SQLite uses the key.
  const deviceId = sql`(select device_id from ${pairingRequests}
    where status in (select value from json_each(${JSON.stringify(REQUEST_STATUSES)}))
      and application_id = ${applicationId} and id = ${requestId})`;
  const { applications, requests, devices } = await runBatch(db, {
    applications: selectApplication(db, organisationId, applicationId),
    requests: selectRequest(db, applicationId, requestId),
    devices: selectDevice(db, applicationId, deviceId),
  });
  if (!applications[0]) return { code: "application-not-found" };
  if (!requests[0]) return { code: "request-not-found" };
  const before = devices[0] ? toDevice(devices[0]) : null;
  return { request: toPairingRequest(requests[0]), before };
}
