/**
 * Pairing requests: what they are, what a signed request of a device leads to, and what an approval may
 * grant. Pure.
 *
 * The requested access never changes under the id of a request. So an approval of an id can never grant
 * more than the operator was shown under that id.
 */
import { createHash } from "node:crypto";
import { type Device, isAccessApproved } from "../devices/device";
import type { RequestedAccess, RolesAndScopes } from "../devices/profile";
import { areImpliedBy, findScopeNotHeld, roleOf, scopesOf } from "../devices/scopes";

/** A request stays pending for this long after its last refresh. */
export const REQUEST_LIFE_MS = 300_000;
/** How many requests may be pending in one application: from one address, and in all. */
export const MAX_PENDING_REQUESTS = { perAddress: 5, perApplication: 500 } as const;
/**
 * How many new requests one device may make in one application within this time. The limit of pending
 * requests does not stop a device that requests something else each time, because each new request takes
 * the place of its last one. Retries that ask for the same do not count.
 */
export const MAX_NEW_REQUESTS = { perDevice: 10, withinMs: 3_600_000 } as const;

/** The longest reason that an operator may give for a rejection, in characters. */
export const LONGEST_REASON = 256;

/** All states of a request. In all but `pending` it has ended. */
export const REQUEST_STATUSES = [
  "pending",
  "approved",
  "rejected",
  "expired",
  "superseded",
] as const;
export type RequestStatus = (typeof REQUEST_STATUSES)[number];
export const ENDED_STATUSES = REQUEST_STATUSES.filter((status) => status !== "pending");

/** How a request ended. Stored as JSON. Times are Unix milliseconds. */
export interface PairingRequestOutcome {
  at: number;
  /** The API key that decided, or that made the setup code; null: nobody decided. */
  decidedBy: number | null;
  /** The email of the person who decided, if a person was signed in with that key and it is known who. */
  decidedByEmail: string | null;
  granted: RolesAndScopes | null;
  reason: string | null;
}

/** A pairing request. It holds no secret, so it may be listed, put into events and kept. */
export interface PairingRequest extends RequestedAccess {
  id: string;
  applicationId: string;
  organisationId: number;
  status: RequestStatus;
  requestedAt: number;
  expiresAt: number;
  remoteIp: string;
  /** The device was paired already when it made the request. */
  isRepair: boolean;
  outcome: PairingRequestOutcome | null;
}

/** What a signed request of a device leads to. */
export type NextStep =
  /** The device has all this access already: it gets a fresh token. */
  | { type: "issue-token"; device: Device }
  /** The device requests the same or less again: its pending request gets more time. */
  | { type: "refresh-request"; request: PairingRequest }
  /** A new request is opened. It ends the pending request of the device, if there is one. */
  | {
      type: "open-request";
      ends: { request: PairingRequest; as: "expired" | "superseded" } | null;
    };

/**
 * Chooses what a signed request of a device leads to.
 * @param device the device, if it was ever paired
 * @param pending the pending request of the device, if it has one
 */
export function chooseNextStep(
  device: Device | null,
  pending: PairingRequest | null,
  requested: RequestedAccess,
  now: number,
): NextStep {
  if (device && isAccessApproved(device, requested)) return { type: "issue-token", device };
  if (!pending) return { type: "open-request", ends: null };
  if (isExpired(pending, now)) {
    return { type: "open-request", ends: { request: pending, as: "expired" } };
  }
  if (asksNoMore(requested, pending)) return { type: "refresh-request", request: pending };
  return { type: "open-request", ends: { request: pending, as: "superseded" } };
}

/** Whether the time of a request is over. D1 may still show it as pending, until the sweep has recorded it. */
export function isExpired(request: Pick<PairingRequest, "expiresAt">, now: number): boolean {
  return now >= request.expiresAt;
}

/** The status of a request now: expired from the moment when its time is over. */
export function statusAt(request: PairingRequest, now: number): RequestStatus {
  return request.status === "pending" && isExpired(request, now) ? "expired" : request.status;
}

/** Whether the pending request already shows an operator all that a new one would show. */
function asksNoMore(requested: RequestedAccess, pending: RequestedAccess): boolean {
  return (
    requested.role === pending.role &&
    requested.roles.every((role) => pending.roles.includes(role)) &&
    areImpliedBy(requested.scopes, pending.scopes) &&
    requested.displayName === pending.displayName &&
    requested.platform === pending.platform &&
    requested.family === pending.family &&
    requested.clientId === pending.clientId &&
    requested.clientMode === pending.clientMode &&
    (requested.silent || !pending.silent)
  );
}

/** A hash of key, roles and scopes. An operator who sends it approves exactly what was shown, or nothing. */
export function requestDigest(requested: RequestedAccess): string {
  const { publicKey, role, roles, scopes } = requested;
  const shown = [publicKey, role, [...roles].sort(), [...scopes].sort()];
  return createHash("sha256").update(JSON.stringify(shown)).digest("base64url");
}

/** What an operator approves. If roles or scopes are absent, all requested ones are approved. */
export interface ApprovalTerms {
  /** The digest of the request that the operator was shown; absent: it is not compared. */
  digest?: string | undefined;
  roles?: readonly string[] | undefined;
  scopes?: readonly string[] | undefined;
}

/** Why an approval grants nothing. */
export type ApprovalRefusal =
  | { code: "digest-mismatch" }
  /** `what`: the role or scope that was not requested. */
  | { code: "exceeds-request"; what: string }
  | { code: "scope-not-held"; scope: string };

/**
 * What an approval grants: the requested access or some of it, and no scope that the approving key does
 * not hold.
 * @param permissions those of the API key that approves
 */
export function judgeApproval(
  requested: RequestedAccess,
  terms: ApprovalTerms,
  permissions: readonly string[],
): { ok: true; granted: RolesAndScopes } | { ok: false; refusal: ApprovalRefusal } {
  if (terms.digest !== undefined && terms.digest !== requestDigest(requested)) {
    return { ok: false, refusal: { code: "digest-mismatch" } };
  }
  const roles = unique(terms.roles ?? requested.roles);
  const otherRole = roles.find((role) => !requested.roles.includes(role));
  if (otherRole !== undefined) return exceeds(otherRole);
  const scopes = unique(terms.scopes ?? roles.flatMap((role) => scopesOf(role, requested.scopes)));
  const otherScope = scopes.find(
    (scope) => !roles.includes(roleOf(scope)) || !areImpliedBy([scope], requested.scopes),
  );
  if (otherScope !== undefined) return exceeds(otherScope);
  const scope = findScopeNotHeld(permissions, scopes);
  if (scope !== null) return { ok: false, refusal: { code: "scope-not-held", scope } };
  const role = roles.includes(requested.role) ? requested.role : (roles[0] ?? requested.role);
  return { ok: true, granted: { role, roles, scopes } };
}

/** The texts without repetitions, in their order. */
export function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

function exceeds(what: string): { ok: false; refusal: ApprovalRefusal } {
  return { ok: false, refusal: { code: "exceeds-request", what } };
}

/** The data of all `device.pair.*` events. Stored as JSON with the event. */
export interface PairingRequestEventData {
  readonly pairRequest: PairingRequest & {
    /**
     * Only on an approval that took access from the device: the sockets that the device opened before
     * this version of it are closed. It is a version of the device, not a time.
     */
    readonly closesSocketsBefore?: number;
  };
}
