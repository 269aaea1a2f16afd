/**
 * Pairing requests: what a device asks for, what becomes of it, and what an approval may grant. Pure.
 *
 * What a request asks for never changes under its id, so an approval of an id can never grant more than
 * was shown under it.
 */
import { createHash } from "node:crypto";
import { type Device, isAccessApproved } from "../devices/device";
import type { RequestedAccess, RolesAndScopes } from "../devices/profile";
import { areImpliedBy, findScopeNotHeld, roleOf, scopesOf } from "../devices/scopes";

/** A request lives for so long after its last refresh. */
export const REQUEST_LIFE_MS = 300_000;
/** Live requests at most: from one address in one application, and in one application. */
export const MOST_PENDING_REQUESTS = { perAddress: 5, perApplication: 500 } as const;
/**
 * New requests of one device in an application at most, and within which time: a device that asks for
 * something else each time takes its own place, so that no cap of live ones sees it. Retries that ask
 * for the same do not count.
 */
export const MOST_NEW_REQUESTS = { perDevice: 10, withinMs: 3_600_000 } as const;

/** All that a request can be. All but `pending` are endings. */
export const REQUEST_STATUSES = [
  "pending",
  "approved",
  "rejected",
  "expired",
  "superseded",
] as const;
export type RequestStatus = (typeof REQUEST_STATUSES)[number];
export const ENDED_STATUSES = REQUEST_STATUSES.filter((status) => status !== "pending");

/** How a request ended. Times are Unix milliseconds. */
export interface PairRequestOutcome {
  at: number;
  /** The API key that decided, or that made the setup code; null when nobody did. */
  decidedBy: number | null;
  /** Of the person who decided, if they were signed in with that key and it is known who they are. */
  decidedByEmail: string | null;
  granted: RolesAndScopes | null;
  reason: string | null;
}

/** A pairing request. Holds no secret: it may be listed, announced and kept. */
export interface PairRequest extends RequestedAccess {
  id: string;
  applicationId: string;
  organisationId: number;
  status: RequestStatus;
  requestedAt: number;
  expiresAt: number;
  remoteIp: string;
  /** The device was paired already when it asked. */
  isRepair: boolean;
  outcome: PairRequestOutcome | null;
}

/** What a signed request of a device leads to. */
export type NextStep =
  /** It has all that: a fresh token. */
  | { type: "issue"; device: Device }
  /** It asks again: the request lives on. */
  | { type: "refresh"; request: PairRequest }
  /** A new request; one of the same device that it takes the place of ends. */
  | { type: "open"; ends: { request: PairRequest; as: "expired" | "superseded" } | null };

/** What becomes of a device's request, given the device and its pending request, if there are. */
export function chooseNextStep(
  device: Device | null,
  pending: PairRequest | null,
  asked: RequestedAccess,
  now: number,
): NextStep {
  if (device && isAccessApproved(device, asked)) return { type: "issue", device };
  if (!pending) return { type: "open", ends: null };
  if (isExpired(pending, now)) return { type: "open", ends: { request: pending, as: "expired" } };
  if (asksNoMore(asked, pending)) return { type: "refresh", request: pending };
  return { type: "open", ends: { request: pending, as: "superseded" } };
}

/** Whether a pending request's time is over, whether or not that was recorded. */
export function isExpired(request: Pick<PairRequest, "expiresAt">, now: number): boolean {
  return now >= request.expiresAt;
}

/** What a request is now. */
export function statusAt(request: PairRequest, now: number): RequestStatus {
  return request.status === "pending" && isExpired(request, now) ? "expired" : request.status;
}

/** Whether everything that `asked` would show an operator is shown by this request, or less. */
function asksNoMore(asked: RequestedAccess, request: RequestedAccess): boolean {
  return (
    asked.role === request.role &&
    asked.roles.every((role) => request.roles.includes(role)) &&
    areImpliedBy(asked.scopes, request.scopes) &&
    asked.displayName === request.displayName &&
    asked.platform === request.platform &&
    asked.family === request.family &&
    asked.clientId === request.clientId &&
    asked.clientMode === request.clientMode &&
    (asked.silent || !request.silent)
  );
}

/** A hash of key, roles and scopes, for operators who want to approve exactly what they were shown. */
export function requestDigest(asked: RequestedAccess): string {
  const shown = [asked.publicKey, asked.role, [...asked.roles].sort(), [...asked.scopes].sort()];
  return createHash("sha256").update(JSON.stringify(shown)).digest("base64url");
}

/** What an operator wants to give; what is absent is given as asked for. */
export interface ApprovalTerms {
  digest?: string | undefined;
  roles?: readonly string[] | undefined;
  scopes?: readonly string[] | undefined;
}

/** Why nothing was granted. */
export type ApprovalRefusal =
  | { code: "digest-mismatch" }
  | { code: "exceeds-request"; what: string }
  | { code: "scope-not-held"; scope: string };

/**
 * What an approval grants: what was asked for, or some of it, and nothing that the approver does not
 * hold.
 * @param permissions of the API key that approves
 */
export function judgeApproval(
  asked: RequestedAccess,
  narrowing: ApprovalTerms,
  permissions: readonly string[],
): { ok: true; granted: RolesAndScopes } | { ok: false; refusal: ApprovalRefusal } {
  if (narrowing.digest !== undefined && narrowing.digest !== requestDigest(asked)) {
    return { ok: false, refusal: { code: "digest-mismatch" } };
  }
  const roles = unique(narrowing.roles ?? asked.roles);
  const unasked = roles.find((role) => !asked.roles.includes(role));
  if (unasked !== undefined) return exceeds(unasked);
  const scopes = unique(narrowing.scopes ?? roles.flatMap((role) => scopesOf(role, asked.scopes)));
  const beyond = scopes.find(
    (scope) => !roles.includes(roleOf(scope)) || !areImpliedBy([scope], asked.scopes),
  );
  if (beyond !== undefined) return exceeds(beyond);
  const scope = findScopeNotHeld(permissions, scopes);
  if (scope !== null) return { ok: false, refusal: { code: "scope-not-held", scope } };
  const role = roles.includes(asked.role) ? asked.role : (roles[0] ?? asked.role);
  return { ok: true, granted: { role, roles, scopes } };
}

/** Each once, in their order. */
export function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function exceeds(what: string): { ok: false; refusal: ApprovalRefusal } {
  return { ok: false, refusal: { code: "exceeds-request", what } };
}

/** The data of all `device.pair.*` events. */
export interface PairRequestEventData {
  readonly pairRequest: PairRequest & {
    /** Of an approval: sockets that the device opened at an earlier version are to be closed. */
    readonly closesSocketsBefore?: number;
  };
}
