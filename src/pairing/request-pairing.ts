/**
 * A device asks to be let in. Which of its retries, of other devices and of the operators comes first
 * is decided by D1: the nonce of the ask is stored under the condition that everything is as it was
 * read, and the rest of the batch happens only where that nonce was stored.
 */
import { type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import type { Application } from "../devices/application-store";
import { closeSockets } from "../devices/close-sockets";
import { approveDevice, type Device, hasNarrowed, issueToken } from "../devices/device";
import { newRequestId } from "../devices/device-ids";
import {
  deviceWrite,
  isUnchanged,
  selectDevice,
  toDevice,
  tokenWrites,
} from "../devices/device-store";
import { newDeviceToken } from "../devices/device-token";
import type { DeviceDeps } from "../devices/operator";
import type { Asked } from "../devices/profile";
import type { DomainEvent } from "../events/event";
import { isNonceClaimed, isNonceUsed, type NonceUse, nonceInsertion } from "../once/nonces";
import { closingSockets, pairRequestEvent } from "./pairing-events";
import {
  decideAsk,
  isOver,
  MOST_LIVE,
  MOST_NEW,
  type PairRequest,
  REQUEST_LIFE_MS,
} from "./pairing-request";
import { endingOf } from "./request-endings";
import {
  countLive,
  findRecentTimes,
  hasAskedRarely,
  hasRoom,
  isItsPending,
  isLive,
  requestEnding,
  requestInsertion,
  requestRefresh,
  selectPending,
  toRequest,
} from "./request-store";
import { codeRemoval, findSetupCode, isCodeOut, isStillGiven, judgeCode } from "./setup-codes";

/** A proven ask. */
export interface Ask {
  asked: Asked;
  nonce: string;
  setupCode: string | null;
  remoteIp: string;
}

/** Why a device was neither let in nor put on the list. Nothing changed. */
export type AskRefusal =
  | { code: "nonce-used" }
  | { code: "too-many-live"; of: "address" | "application" }
  | { code: "too-many-new"; retryAfterSeconds: number }
  | { code: "invalid-setup-code" }
  | { code: "exceeds-setup-code" };

/** What a device is answered. */
export type AskResult =
  | {
      type: "token";
      token: string;
      role: string;
      scopes: readonly string[];
      requestId: string | null;
    }
  | { type: "pending"; request: PairRequest }
  | { type: "refused"; refusal: AskRefusal };

/** What is to be written, and under which condition. */
interface Plan {
  onlyIf: SQL;
  /** The statements, given that `claimed` is true where the nonce was stored. */
  write(claimed: SQL): Statement[];
  owed: DomainEvent[];
  /** A device that has less than before, and whose open sockets are to be closed. */
  narrows?: Device | null;
  result: Exclude<AskResult, { type: "refused" }>;
}
type Statement = Parameters<DeviceDeps["db"]["batch"]>[0][number];

/** Handles a proven ask of a device. */
export async function askToPair(
  deps: DeviceDeps,
  application: Application,
  ask: Ask,
  now: number,
): Promise<AskResult> {
  const { db } = deps;
  const use: NonceUse = { owner: application.id, nonce: ask.nonce, claim: crypto.randomUUID() };
  return retryChange<AskResult>("the device", async () => {
    const planned =
      ask.setupCode === null
        ? await planAsk(deps, application, ask, now)
        : await planWithCode(deps, application, ask, ask.setupCode, now);
    if ("code" in planned) return { type: "refused", refusal: planned };
    const { stored } = await runBatch(db, {
      stored: nonceInsertion(db, use, now, planned.onlyIf),
      rest: planned.write(isNonceClaimed(use, now)),
    });
    if (stored.length > 0) {
      if (planned.owed.length > 0) deps.events.announce(planned.owed);
      if (planned.narrows) await closeSockets(deps, planned.narrows);
      return planned.result;
    }
    if (await isNonceUsed(db, use, now))
      return { type: "refused", refusal: { code: "nonce-used" } };
    const full =
      planned.result.type === "pending" ? await findFull(deps, planned.result.request, now) : null;
    return full ? { type: "refused", refusal: full } : undefined;
  });
}

async function planAsk(
  deps: DeviceDeps,
  application: Application,
  ask: Ask,
  now: number,
): Promise<Plan> {
  const { db } = deps;
  const { device, pending } = await read(deps, application, ask);
  const decision = decideAsk(device, pending, ask.asked, now);
  switch (decision.type) {
    case "issue":
      return planIssue(deps, decision.device, decision.device, ask, null);
    case "refresh": {
      const expiresAt = now + REQUEST_LIFE_MS;
      return {
        onlyIf: isLive(decision.request, now),
        write: (claimed) => [requestRefresh(db, decision.request, expiresAt, claimed)],
        owed: [],
        result: { type: "pending", request: { ...decision.request, expiresAt } },
      };
    }
    case "open": {
      const request = newRequest(application, ask, device, now);
      const opened = request.silent ? [] : [pairRequestEvent("requested", request, now)];
      const ended = decision.ends ? [endingOf(decision.ends.request, decision.ends.as, now)] : [];
      const owed = [...ended.map(({ event }) => event), ...opened];
      return {
        onlyIf: sql`${isItsPending(application.id, ask.asked.deviceId, pending)}
          and ${hasRoom(request, now)} and ${hasAskedRarely(request, pending, now)}`,
        write: (claimed) => [
          ...ended.map(({ ending }) => requestEnding(db, ending, claimed)),
          requestInsertion(db, request, claimed),
          ...(owed.length > 0 ? deps.events.insertion(owed, claimed) : []),
        ],
        owed,
        result: { type: "pending", request },
      };
    }
  }
}

async function planWithCode(
  deps: DeviceDeps,
  application: Application,
  ask: Ask,
  text: string,
  now: number,
): Promise<Plan | AskRefusal> {
  const { db } = deps;
  const code = await findSetupCode(deps, application.id, text, now);
  if (!code || !(await isStillGiven(db, code, application.organisationId, now))) {
    return { code: "invalid-setup-code" };
  }
  const granted = judgeCode(code, ask.asked);
  if (!granted) return { code: "exceeds-setup-code" };
  const { device: before, pending } = await read(deps, application, ask);
  const request: PairRequest = {
    ...newRequest(application, ask, before, now),
    status: "approved",
    outcome: {
      at: now,
      decidedBy: code.keyId,
      decidedByEmail: null,
      granted,
      reason: "setup-code",
    },
  };
  const device = approveDevice(before, request, granted, null, now);
  const issue = planIssue(deps, before, device, ask, request.id);
  const narrows = before && hasNarrowed(before, device) ? device : null;
  const event = pairRequestEvent("approved", request, now);
  const approved = narrows ? closingSockets(event, narrows) : event;
  const ended = pending
    ? [endingOf(pending, isOver(pending, now) ? "expired" : "superseded", now)]
    : [];
  const owed = [...ended.map(({ event }) => event), approved];
  return {
    onlyIf: sql`${isCodeOut(code, now)} and ${issue.onlyIf}
      and ${isItsPending(application.id, ask.asked.deviceId, pending)}`,
    write: (claimed) => [
      codeRemoval(db, code, claimed),
      ...ended.map(({ ending }) => requestEnding(db, ending, claimed)),
      requestInsertion(db, request, claimed),
      ...issue.write(claimed),
      ...deps.events.insertion(owed, claimed),
    ],
    owed,
    narrows,
    result: issue.result,
  };
}

/** A fresh token for the role that was asked for. */
function planIssue(
  { db }: DeviceDeps,
  before: Device | null,
  device: Device,
  { asked }: Ask,
  requestId: string | null,
): Plan {
  const { token, digest } = newDeviceToken();
  const { role } = asked;
  const issued = issueToken(device, role, asked.scopes, digest);
  return {
    onlyIf: isUnchanged(device.applicationId, device.id, before),
    write: (claimed) => [
      ...tokenWrites(db, before, issued.device, { digest, role }, claimed),
      deviceWrite(db, before, issued.device, claimed),
    ],
    owed: [],
    result: { type: "token", token, role, scopes: issued.scopes, requestId },
  };
}

async function read({ db }: DeviceDeps, application: Application, { asked }: Ask) {
  const { devices, pendings } = await runBatch(db, {
    devices: selectDevice(db, application.id, asked.deviceId),
    pendings: selectPending(db, application.id, asked.deviceId),
  });
  return {
    device: devices[0] ? toDevice(devices[0]) : null,
    pending: pendings[0] ? toRequest(pendings[0]) : null,
  };
}

function newRequest(
  application: Application,
  ask: Ask,
  device: Device | null,
  now: number,
): PairRequest {
  return {
    ...ask.asked,
    id: newRequestId(now),
    applicationId: application.id,
    organisationId: application.organisationId,
    status: "pending",
    requestedAt: now,
    expiresAt: now + REQUEST_LIFE_MS,
    remoteIp: ask.remoteIp,
    isRepair: device?.removedAt === null,
    outcome: null,
  };
}

/** Which cap a request does not fit into, if it is one. */
async function findFull(
  { db }: DeviceDeps,
  request: PairRequest,
  now: number,
): Promise<AskRefusal | null> {
  const live = await countLive(db, request, now);
  if (live.address >= MOST_LIVE.perAddress) return { code: "too-many-live", of: "address" };
  if (live.application >= MOST_LIVE.perApplication) {
    return { code: "too-many-live", of: "application" };
  }
  const times = await findRecentTimes(db, request, now);
  const oldest = times[MOST_NEW.perDevice - 1];
  if (oldest === undefined) return null;
  const milliseconds = oldest + MOST_NEW.withinMs - now;
  return { code: "too-many-new", retryAfterSeconds: Math.ceil(milliseconds / 1_000) };
}
