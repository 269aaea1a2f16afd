/**
 * Plans the statements of a pairing request and the answer to the device. The functions of this file only
 * read. `request-pairing.ts` writes the plans.
 */
import { type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import { runBatch } from "../db/batch";
import type { Application } from "../devices/application-store";
import { approveDevice, type Device, hasLostAccess, issueToken } from "../devices/device";
import type { DeviceServices } from "../devices/device-services";
import {
  deviceWrite,
  isDeviceUnchanged,
  selectDevice,
  toDevice,
  tokenWrites,
} from "../devices/device-store";
import { newDeviceToken } from "../devices/device-token";
import type { RequestedAccess } from "../devices/profile";
import type { DomainEvent } from "../events/event";
import { pairingRequestEvent, withSocketsToClose } from "./pairing-events";
import {
  chooseNextStep,
  isExpired,
  type NextStep,
  type PairingRequest,
  REQUEST_LIFE_MS,
} from "./pairing-request";
import { endingOf } from "./request-endings";
import { newPairingRequestId } from "./request-id";
import { hasFewNewRequests, hasRoomForRequest } from "./request-limits";
import {
  isPendingRequestUnchanged,
  isStillPending,
  requestEndingUpdate,
  requestInsertion,
  requestRefresh,
  selectPendingRequest,
  toPairingRequest,
} from "./request-store";
import {
  accessOfCode,
  codeRemoval,
  findSetupCode,
  isCodeUnused,
  mayMakerStillApprove,
} from "./setup-codes";

/** A pairing request whose proof was checked. */
export interface ProvenRequest {
  requested: RequestedAccess;
  nonce: string;
  setupCode: string | null;
  remoteIp: string;
}

/** Why a setup code does not let a device in. */
export type SetupCodeRefusal = { code: "invalid-setup-code" } | { code: "exceeds-setup-code" };

/** The answer to a device whose request is accepted. */
export type PairingAnswer =
  | {
      type: "token";
      token: string;
      role: string;
      scopes: readonly string[];
      /** The request that the setup code has approved; null: the access was approved before. */
      requestId: string | null;
    }
  | { type: "pending"; request: PairingRequest };

/** The statements that are to be written, and their condition. */
export interface PairingPlan {
  onlyIf: SQL;
  /** The statements. `claimed` is true in the batch that has stored the nonce of this request. */
  statements(claimed: SQL): BatchItem<"sqlite">[];
  /** The events that these statements record. */
  events: DomainEvent[];
  /** The device, if it loses access: its open sockets are closed. */
  lostAccess?: Device | null;
  /** Whether a request is stored that was not there before. */
  addsRequest?: true;
  answer: PairingAnswer;
}

/** The device of a request and its pending request, as they were read. Null: there is none. */
interface Found {
  device: Device | null;
  pending: PairingRequest | null;
}

/** Plans a request without a setup code. */
export async function planRequest(
  services: DeviceServices,
  application: Application,
  proven: ProvenRequest,
  now: number,
): Promise<PairingPlan> {
  const { db } = services;
  const { requested } = proven;
  const found = await readDeviceAndPending(services, application, requested);
  const step = chooseNextStep(found.device, found.pending, requested, now);
  switch (step.type) {
    case "issue-token": {
      const { device } = step;
      return planToken(services, { before: device, device, requested, requestId: null });
    }
    case "refresh-request": {
      const expiresAt = now + REQUEST_LIFE_MS;
      return {
        onlyIf: isStillPending(step.request, now),
        statements: (claimed) => [requestRefresh(db, step.request, expiresAt, claimed)],
        events: [],
        answer: { type: "pending", request: { ...step.request, expiresAt } },
      };
    }
    case "open-request": {
      const request = newRequest(application, proven, found.device, now);
      return planNewRequest(services, request, { pending: found.pending, ends: step.ends }, now);
    }
  }
}

/** A new request that waits for a decision. It ends the pending request of the device, if there is one. */
function planNewRequest(
  { db, events }: DeviceServices,
  request: PairingRequest,
  earlier: {
    pending: PairingRequest | null;
    ends: Extract<NextStep, { type: "open-request" }>["ends"];
  },
  now: number,
): PairingPlan {
  const { pending, ends } = earlier;
  const opened = request.silent ? [] : [pairingRequestEvent("requested", request, now)];
  const ended = ends ? [endingOf(ends.request, ends.as, now)] : [];
  const owed = [...ended.map(({ event }) => event), ...opened];
  return {
    onlyIf: sql`${isPendingRequestUnchanged(request.applicationId, request.deviceId, pending)}
      and ${hasRoomForRequest(request, now)} and ${hasFewNewRequests(request, pending, now)}`,
    statements: (claimed) => [
      ...ended.map(({ ending }) => requestEndingUpdate(db, ending, claimed)),
      requestInsertion(db, request, claimed),
      ...(owed.length > 0 ? events.insertion(owed, claimed) : []),
    ],
    events: owed,
    addsRequest: true,
    answer: { type: "pending", request },
  };
}

/**
 * Plans a request with a setup code: the request is stored as approved, and the device gets its token at
 * once. The pending request of the device ends.
 */
export async function planWithSetupCode(
  services: DeviceServices,
  application: Application,
  proven: ProvenRequest & { setupCode: string },
  now: number,
): Promise<PairingPlan | SetupCodeRefusal> {
  const { db } = services;
  const { requested } = proven;
  const code = await findSetupCode(services, application.id, proven.setupCode, now);
  if (!code || !(await mayMakerStillApprove(db, code, application.organisationId, now))) {
    return { code: "invalid-setup-code" };
  }
  const granted = accessOfCode(code, requested);
  if (!granted) return { code: "exceeds-setup-code" };
  const { device: before, pending } = await readDeviceAndPending(services, application, requested);
  const decision = { decidedBy: code.keyId, decidedByEmail: null, granted, reason: "setup-code" };
  const request: PairingRequest = {
    ...newRequest(application, proven, before, now),
    status: "approved",
    outcome: { at: now, ...decision },
  };
  const device = approveDevice({ before, request, granted, awaiting: null }, now);
  const token = planToken(services, { before, device, requested, requestId: request.id });
  const lostAccess = before && hasLostAccess(before, device) ? device : null;
  const event = pairingRequestEvent("approved", request, now);
  const approved = lostAccess ? withSocketsToClose(event, lostAccess) : event;
  const ended = pending
    ? [endingOf(pending, isExpired(pending, now) ? "expired" : "superseded", now)]
    : [];
  const owed = [...ended.map(({ event }) => event), approved];
  return {
    onlyIf: sql`${isCodeUnused(code, now)} and ${token.onlyIf}
      and ${isPendingRequestUnchanged(application.id, requested.deviceId, pending)}`,
    statements: (claimed) => [
      codeRemoval(db, code, claimed),
      ...ended.map(({ ending }) => requestEndingUpdate(db, ending, claimed)),
      requestInsertion(db, request, claimed),
      ...token.statements(claimed),
      ...services.events.insertion(owed, claimed),
    ],
    events: owed,
    lostAccess,
    addsRequest: true,
    answer: token.answer,
  };
}

/** A fresh token for the requested role. */
function planToken(
  { db }: DeviceServices,
  issue: {
    before: Device | null;
    /** The device that gets the token: as it was read, or as it is after an approval. */
    device: Device;
    requested: RequestedAccess;
    requestId: string | null;
  },
): PairingPlan {
  const { before, device, requested, requestId } = issue;
  const { role } = requested;
  const { token, digest } = newDeviceToken();
  const issued = issueToken(device, role, requested.scopes, digest);
  const change = { before, device: issued.device, token: { digest, role } };
  return {
    onlyIf: isDeviceUnchanged(device.applicationId, device.id, before),
    statements: (claimed) => [
      ...tokenWrites(db, change, claimed),
      deviceWrite(db, before, issued.device, claimed),
    ],
    events: [],
    answer: { type: "token", token, role, scopes: issued.scopes, requestId },
  };
}

async function readDeviceAndPending(
  { db }: DeviceServices,
  application: Application,
  { deviceId }: RequestedAccess,
): Promise<Found> {
  const { devices, pendings } = await runBatch(db, {
    devices: selectDevice(db, application.id, deviceId),
    pendings: selectPendingRequest(db, application.id, deviceId),
  });
  return {
    device: devices[0] ? toDevice(devices[0]) : null,
    pending: pendings[0] ? toPairingRequest(pendings[0]) : null,
  };
}

function newRequest(
  application: Application,
  { requested, remoteIp }: ProvenRequest,
  device: Device | null,
  now: number,
): PairingRequest {
  return {
    ...requested,
    id: newPairingRequestId(now),
    applicationId: application.id,
    organisationId: application.organisationId,
    status: "pending",
    requestedAt: now,
    expiresAt: now + REQUEST_LIFE_MS,
    remoteIp,
    isRepair: device?.removedAt === null,
    outcome: null,
  };
}
