/**
 * A paired device: its approved access, and one token for each of its roles. Pure. Every change makes a
 * new version of the device. The store writes a version only over the one that it was made from.
 */
import type { DeviceProfile, RequestedAccess, RolesAndScopes } from "./profile";
import { areImpliedBy, scopesInCommon, scopesOf } from "./scopes";

/** What a device has for one role. Stored as JSON, so the names of the fields cannot change. */
export interface RoleGrant {
  role: string;
  /** The scopes that tokens of this role may carry: all approved ones, or fewer after a rotation. */
  limit: readonly string[];
  /** The digest of the token that works, and its scopes; null: there is none. */
  token: { digest: string; scopes: readonly string[] } | null;
  /** The digest of the token before it. A gateway that asks about that token is answered "revoked". */
  previous: string | null;
  /** The role has no token, and only a new approval gives it one. */
  revoked: boolean;
  /** The id of the approved request whose poll collects the token; null: none. */
  awaiting: string | null;
}

/** A device with its approved roles and scopes. Stored as JSON. Times are Unix milliseconds. */
export interface Device extends DeviceProfile, RolesAndScopes {
  applicationId: string;
  organisationId: number;
  /** Lower-case hex SHA-256 of its key. */
  id: string;
  /** Rises with every change. */
  version: number;
  createdAt: number;
  removedAt: number | null;
  /** The name that operators gave it; null: none. */
  label: string | null;
  /** One for each role, even for roles that are no longer approved. */
  grants: readonly RoleGrant[];
}

/** A device in an event: without the digests of its tokens. Stored as JSON with the event. */
export interface DeviceFacts extends Omit<Device, "grants"> {
  /** The role whose token the event is about; null: all roles. */
  tokenRole: string | null;
  /**
   * The sockets that the device opened before this version of it are closed; null: none are. It is a version
   * of the device, not a time.
   */
  closesSocketsBefore: number | null;
}

/** What a device has for a role. For a role that it never had, this is an empty grant. */
export function grantOf(device: Pick<Device, "grants">, role: string): RoleGrant {
  const none = { role, limit: [], token: null, previous: null, revoked: false, awaiting: null };
  return device.grants.find((grant) => grant.role === role) ?? none;
}

/** Whether all access that a device requests is approved already, so that no operator has to decide. */
export function isAccessApproved(device: Device, requested: RequestedAccess): boolean {
  return (
    device.removedAt === null &&
    requested.platform === device.platform &&
    requested.family === device.family &&
    requested.roles.every(
      (role) => device.roles.includes(role) && !grantOf(device, role).revoked,
    ) &&
    areImpliedBy(requested.scopes, device.scopes)
  );
}

/** An approval of a request. */
export interface Approval {
  /** The device before the approval, removed or not; null: it was never paired. */
  before: Device | null;
  request: RequestedAccess & { applicationId: string; organisationId: number };
  granted: RolesAndScopes;
  /** As in `RoleGrant`: the request whose poll collects the token; null: the token is handed out at once. */
  awaiting: string | null;
}

/**
 * The device after an approval. It has the granted access and nothing else, even when that is less than
 * before. The tokens that it has keep only those of their scopes that are still approved.
 */
export function approveDevice(
  { before, request, granted, awaiting }: Approval,
  now: number,
): Device {
  const kept = before?.removedAt === null ? before : null;
  const { publicKey, displayName, platform, family, clientId, clientMode } = request;
  return {
    applicationId: request.applicationId,
    organisationId: request.organisationId,
    id: request.deviceId,
    publicKey,
    version: (before?.version ?? 0) + 1,
    createdAt: kept?.createdAt ?? now,
    removedAt: null,
    label: kept?.label ?? null,
    displayName,
    platform,
    family,
    clientId,
    clientMode,
    ...granted,
    grants: grantsAfterApproval(before, granted, awaiting),
  };
}

/** A role that is not granted, or that a removed device had, keeps no token. */
function grantsAfterApproval(
  before: Device | null,
  granted: RolesAndScopes,
  awaiting: string | null,
): RoleGrant[] {
  const kept = before?.removedAt === null ? before : null;
  const past = (before?.grants ?? []).map((grant) =>
    kept && granted.roles.includes(grant.role) ? grant : withoutToken(grant, true),
  );
  const present = granted.roles.map((role) => {
    const grant = grantOf({ grants: past }, role);
    const limit = scopesOf(role, granted.scopes);
    const { token } = grant;
    return {
      ...grant,
      limit,
      token: token && { ...token, scopes: scopesInCommon(token.scopes, limit) },
      revoked: false,
      awaiting: role === granted.role ? awaiting : null,
    };
  });
  const gone = past.filter(({ role }) => !granted.roles.includes(role));
  return [...present, ...gone];
}

/**
 * The device with a new token for a role. It replaces the one before.
 * @param wanted the scopes that the token should carry. It carries those that the role may have
 * @param digest that of the new token
 * @returns also the scopes that the token carries
 */
export function issueToken(
  device: Device,
  role: string,
  wanted: readonly string[],
  digest: string,
): { device: Device; scopes: readonly string[] } {
  const grant = grantOf(device, role);
  const scopes = scopesInCommon(scopesOf(role, wanted), grant.limit);
  const replaced = grant.token?.digest ?? grant.previous;
  const next = { ...grant, token: { digest, scopes }, previous: replaced, awaiting: null };
  return { device: withGrant(device, next), scopes };
}

/**
 * The device after an operator rotated a token. The old token stops working, and the device gets a new
 * one with its next signed request.
 */
export function rotateToken(device: Device, role: string, limit: readonly string[]): Device {
  return withGrant(device, { ...withoutToken(grantOf(device, role), false), limit });
}

/** The device after a role's token was revoked. */
export function revokeToken(device: Device, role: string): Device {
  return withGrant(device, withoutToken(grantOf(device, role), true));
}

/** The device after its removal. */
export function removeDevice(device: Device, now: number): Device {
  return { ...device, version: device.version + 1, removedAt: now };
}

/** Whether a token that was handed out at some time still works, and why not. */
export type TokenJudgement =
  | { ok: true; scopes: readonly string[] }
  | { ok: false; code: "revoked" | "device-removed" };

/** Whether this token of a role still works, and which scopes it carries. */
export function judgeToken(device: Device, role: string, digest: string): TokenJudgement {
  if (device.removedAt !== null) return { ok: false, code: "device-removed" };
  const grant = grantOf(device, role);
  if (!grant.token || grant.revoked || grant.token.digest !== digest) {
    return { ok: false, code: "revoked" };
  }
  return { ok: true, scopes: grant.token.scopes };
}

/** Whether a change made a working token stop, or took scopes from it. */
export function hasLostAccess(before: Device, after: Device): boolean {
  return before.grants.some(({ role, token }) => {
    if (token === null) return false;
    const was = judgeToken(before, role, token.digest);
    const is = judgeToken(after, role, token.digest);
    return was.ok && !(is.ok && areImpliedBy(was.scopes, is.scopes));
  });
}

/** Whether a device may connect to relay sessions: it is paired, and at least one role is not revoked. */
export function judgePairing(device: Device): "paired" | "revoked" | "device-removed" {
  if (device.removedAt !== null) return "device-removed";
  return device.roles.every((role) => grantOf(device, role).revoked) ? "revoked" : "paired";
}

/** The digests of all tokens that still lead to this device: of each role the token and the one before. */
export function tokenDigestsOf(device: Device): string[] {
  return device.grants.flatMap(({ token, previous }) =>
    [token?.digest, previous].filter((digest) => typeof digest === "string"),
  );
}

function withGrant(device: Device, grant: RoleGrant): Device {
  const others = device.grants.filter(({ role }) => role !== grant.role);
  return { ...device, version: device.version + 1, grants: [...others, grant] };
}

function withoutToken(grant: RoleGrant, revoked: boolean): RoleGrant {
  const previous = grant.token?.digest ?? grant.previous;
  return { ...grant, token: null, previous, revoked, awaiting: null };
}

/** The data of `device.removed`, `device.token.rotated` and `device.token.revoked`. */
export interface DeviceEventData {
  readonly device: DeviceFacts;
}
