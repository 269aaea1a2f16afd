/** Operators approve and reject. Of two decisions on a request, one finds it pending and wins. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { pairingRequests } from "../db/schema/devices";
import { selectApplication } from "../devices/application-store";
import { closeSockets } from "../devices/close-sockets";
import { approveDevice, type Device, hasLostAccess } from "../devices/device";
import { deviceWrite, isDeviceUnchanged, selectDevice, toDevice } from "../devices/device-store";
import type { Actor, DeviceServices } from "../devices/operator";
import { withSocketsToClose } from "./pairing-events";
import {
  type ApprovalRefusal,
  type ApprovalTerms,
  judgeApproval,
  type PairRequest,
  type PairRequestOutcome,
  REQUEST_STATUSES,
  type RequestStatus,
  statusAt,
} from "./pairing-request";
import { endingOf } from "./request-endings";
import {
  hasRequestEnded,
  requestEndingUpdate,
  selectRequest,
  toPairRequest,
} from "./request-store";

/** Why nothing was decided. Nothing changed. */
export type DecisionRefusal =
  | { code: "application-not-found" }
  | { code: "request-not-found" }
  | { code: "request-ended"; status: Exclude<RequestStatus, "pending"> }
  | ApprovalRefusal;

/** A decision that was made, or why not. */
export type DecisionResult =
  | { ok: true; request: PairRequest; device: Device | null }
  | { ok: false; refusal: DecisionRefusal };

/** Approves a pending request, or some of it: from then on the device has that and nothing else. */
export function approveRequest(
  deps: DeviceServices,
  operator: Actor,
  applicationId: string,
  requestId: string,
  narrowing: ApprovalTerms,
  now: number,
): Promise<DecisionResult> {
  return decide(deps, operator, applicationId, requestId, now, (request) =>
    judgeApproval(request, narrowing, operator.permissions),
  );
}

/** Rejects a pending request. */
export function rejectRequest(
  deps: DeviceServices,
  operator: Actor,
  applicationId: string,
  requestId: string,
  reason: string | null,
  now: number,
): Promise<DecisionResult> {
  return decide(deps, operator, applicationId, requestId, now, () => ({
    ok: true,
    granted: null,
    reason,
  }));
}

type Verdict =
  | { ok: true; granted: PairRequestOutcome["granted"]; reason?: string | null }
  | { ok: false; refusal: ApprovalRefusal };

async function decide(
  deps: DeviceServices,
  operator: Actor,
  applicationId: string,
  requestId: string,
  now: number,
  judge: (request: PairRequest) => Verdict,
): Promise<DecisionResult> {
  const { db, events } = deps;
  return retryChange<DecisionResult>(`the pairing request ${requestId}`, async () => {
    const found = await read(deps, operator.organisationId, applicationId, requestId);
    if ("code" in found) return { ok: false, refusal: found };
    const { request, before } = found;
    const status = statusAt(request, now);
    if (status !== "pending") return { ok: false, refusal: { code: "request-ended", status } };
    const verdict = judge(request);
    if (!verdict.ok) return verdict;
    const { granted, reason = null } = verdict;
    const email = operator.session?.email ?? null;
    const outcome = { decidedBy: operator.keyId, decidedByEmail: email, granted, reason };
    const { ending, event } = endingOf(request, granted ? "approved" : "rejected", now, outcome);
    const device = granted ? approveDevice(before, request, granted, request.id, now) : null;
    const narrowed = before && device && hasLostAccess(before, device) ? device : null;
    const owed = [narrowed ? withSocketsToClose(event, narrowed) : event];
    // That it is still pending is in the statement that ends it; a device must be as it was read, too.
    const onlyIf = device ? isDeviceUnchanged(applicationId, request.deviceId, before) : sql`true`;
    const { ended } = await runBatch(db, {
      ended: requestEndingUpdate(db, ending, onlyIf),
      device: device ? [deviceWrite(db, before, device, hasRequestEnded(ending))] : [],
      events: events.insertion(owed, hasRequestEnded(ending)),
    });
    if (ended.length > 0) {
      events.announce(owed);
      if (narrowed) await closeSockets(deps, narrowed);
      const { status: now, outcome: how } = ending;
      return { ok: true, request: { ...request, status: now, outcome: how }, device };
    }
    return undefined;
  });
}

async function read(
  { db }: DeviceServices,
  organisationId: number,
  applicationId: string,
  requestId: string,
): Promise<
  | { request: PairRequest; before: Device | null }
  | { code: "application-not-found" | "request-not-found" }
> {
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
  return { request: toPairRequest(requests[0]), before };
}
