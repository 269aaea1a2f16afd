/** Operators approve and reject. Of two decisions on a request, one finds it pending and wins. */
import { sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import { pairingRequests } from "../db/schema/devices";
import { selectApplication } from "../devices/application-store";
import { closeSockets } from "../devices/close-sockets";
import { approveDevice, type Device, hasNarrowed } from "../devices/device";
import { deviceWrite, isUnchanged, selectDevice, toDevice } from "../devices/device-store";
import type { DeviceDeps, Operator } from "../devices/operator";
import { closingSockets } from "./pairing-events";
import {
  decideGrant,
  type GrantRefusal,
  type Narrowing,
  type Outcome,
  type PairRequest,
  REQUEST_STATUSES,
  type RequestStatus,
  statusAt,
} from "./pairing-request";
import { endingOf } from "./request-endings";
import { hasEnded, requestEnding, selectRequest, toRequest } from "./request-store";

/** Why nothing was decided. Nothing changed. */
export type DecideRefusal =
  | { code: "application-not-found" }
  | { code: "request-not-found" }
  | { code: "request-ended"; status: Exclude<RequestStatus, "pending"> }
  | GrantRefusal;

/** A decision that was made, or why not. */
export type DecideResult =
  | { ok: true; request: PairRequest; device: Device | null }
  | { ok: false; refusal: DecideRefusal };

/** Approves a pending request, or some of it: from then on the device has that and nothing else. */
export function approveRequest(
  deps: DeviceDeps,
  operator: Operator,
  applicationId: string,
  requestId: string,
  narrowing: Narrowing,
  now: number,
): Promise<DecideResult> {
  return decide(deps, operator, applicationId, requestId, now, (request) =>
    decideGrant(request, narrowing, operator.permissions),
  );
}

/** Rejects a pending request. */
export function rejectRequest(
  deps: DeviceDeps,
  operator: Operator,
  applicationId: string,
  requestId: string,
  reason: string | null,
  now: number,
): Promise<DecideResult> {
  return decide(deps, operator, applicationId, requestId, now, () => ({
    ok: true,
    granted: null,
    reason,
  }));
}

type Verdict =
  | { ok: true; granted: Outcome["granted"]; reason?: string | null }
  | { ok: false; refusal: GrantRefusal };

async function decide(
  deps: DeviceDeps,
  operator: Operator,
  applicationId: string,
  requestId: string,
  now: number,
  judge: (request: PairRequest) => Verdict,
): Promise<DecideResult> {
  const { db, events } = deps;
  return retryChange<DecideResult>(`the pairing request ${requestId}`, async () => {
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
    const narrowed = before && device && hasNarrowed(before, device) ? device : null;
    const owed = [narrowed ? closingSockets(event, narrowed) : event];
    // That it is still pending is in the statement that ends it; a device must be as it was read, too.
    const onlyIf = device ? isUnchanged(applicationId, request.deviceId, before) : sql`true`;
    const { ended } = await runBatch(db, {
      ended: requestEnding(db, ending, onlyIf),
      device: device ? [deviceWrite(db, before, device, hasEnded(ending))] : [],
      events: events.insertion(owed, hasEnded(ending)),
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
  { db }: DeviceDeps,
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
  return { request: toRequest(requests[0]), before };
}
