/**
 * A paired device: what is approved, and one token for each of its roles. Pure. Every change makes a
 * new version; the store writes it only over the version that it was made from.
 */
import type { DeviceProfile, RequestedAccess, RolesAndScopes } from "./profile";
import { areImpliedBy, scopesInCommon, scopesOf } from "./scopes";

/** What a device has for one role. */
export interface RoleGrant {
  role: string;
  /** What tokens of this role may carry: what is approved, or less after a rotation. */
  limit: readonly string[];
  /** The digest of the token and what it carries; null when none is out. */
  token: { digest: string; scopes: readonly string[] } | null;
  /** The digest of the token before, so that its use is answered with "revoked". */
  previous: string | null;
  /** Only a new approval brings it back. */
  revoked: boolean;
  /** The approved request whose poll collects the token. */
  awaiting: string | null;
}

/** A device as it was approved, with what is approved. Times are Unix milliseconds. */
export interface Device extends DeviceProfile, RolesAndScopes {
  applicationId: string;
  organisationId: number;
  /** Lower-case hex SHA-256 of its key. */
  id: string;
  /** Rises with every change. */
  version: number;
  createdAt: number;
  removedAt: number | null;
  /** Given by operators; null: none. */
  label: string | null;
  /** One for each role; also of roles that are approved no more. */
  grants: readonly RoleGrant[];
}

/** What events tell of a device: not what its tokens are known by. */
export interface DeviceFacts extends Omit<Device, "grants"> {
  /** Of which role the token is that the event is about; null: of all. */
  tokenRole: string | null;
  /** Sockets that the device opened at an earlier version are to be closed; null: none are. */
  closesSocketsBefore: number | null;
}

/** What a device has for a role; of a role that it never had, nothing. */
export function grantOf(device: Pick<Device, "grants">, role: string): RoleGrant {
  const none = { role, limit: [], token: null, previous: null, revoked: false, awaiting: null };
  return device.grants.find((grant) => grant.role === role) ?? none;
}

/** Whether a paired device may have what it asks for without another decision. */
export function isAccessApproved(device: Device, asked: RequestedAccess): boolean {
  return (
    device.removedAt === null &&
    asked.platform === device.platform &&
    asked.family === device.family &&
    asked.roles.every((role) => device.roles.includes(role) && !grantOf(device, role).revoked) &&
    areImpliedBy(asked.scopes, device.scopes)
  );
}

/**
 * The device after an approval: it has what is granted and nothing else, also when that is less than
 * before. Tokens that are out carry from now on only what is still approved.
 * @param before the device as it was, removed or not; null: new
 * @param requestId whose poll collects the token; null: it is handed out at once
 */
export function approveDevice(
  before: Device | null,
  asked: RequestedAccess & { applicationId: string; organisationId: number },
  granted: RolesAndScopes,
  requestId: string | null,
  now: number,
): Device {
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
      awaiting: role === granted.role ? requestId : null,
    };
  });
  const gone = past.filter(({ role }) => !granted.roles.includes(role));
  const { publicKey, displayName, platform, family, clientId, clientMode } = asked;
  return {
    applicationId: asked.applicationId,
    organisationId: asked.organisationId,
    id: asked.deviceId,
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
    grants: [...present, ...gone],
  };
}

/**
 * The device with a new token for a role, in place of the one before.
 * @param asked what the token should carry; it carries what of that the role may have
 */
export function issueToken(
  device: Device,
  role: string,
  asked: readonly string[],
  digest: string,
): { device: Device; scopes: readonly string[] } {
  const grant = grantOf(device, role);
  const scopes = scopesInCommon(scopesOf(role, asked), grant.limit);
  const replaced = grant.token?.digest ?? grant.previous;
  const next = { ...grant, token: { digest, scopes }, previous: replaced, awaiting: null };
  return { device: withGrant(device, next), scopes };
}

/** The device after an operator rotated a token: the old one stops, the device collects another. */
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

/** What a token that was handed out once is worth. */
export type TokenJudgement =
  | { ok: true; scopes: readonly string[] }
  | { ok: false; code: "revoked" | "device-removed" };

/** Whether this token of a role still works, and what it carries. */
export function judgeToken(device: Device, role: string, digest: string): TokenJudgement {
  if (device.removedAt !== null) return { ok: false, code: "device-removed" };
  const grant = grantOf(device, role);
  if (!grant.token || grant.revoked || grant.token.digest !== digest) {
    return { ok: false, code: "revoked" };
  }
  return { ok: true, scopes: grant.token.scopes };
}

/** Whether a token that worked works no more after a change, or carries less. */
export function hasLostAccess(before: Device, after: Device): boolean {
  return before.grants.some(({ role, token }) => {
    if (token === null) return false;
    const was = judgeToken(before, role, token.digest);
    const is = judgeToken(after, role, token.digest);
    return was.ok && !(is.ok && areImpliedBy(was.scopes, is.scopes));
  });
}

/** Whether a device may be connected at all: paired, with a role whose token is not revoked. */
export function judgePairing(device: Device): "paired" | "revoked" | "device-removed" {
  if (device.removedAt !== null) return "device-removed";
  return device.roles.every((role) => grantOf(device, role).revoked) ? "revoked" : "paired";
}

/** The digests of all tokens of a device that are still known. */
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

/** The data of the other `device.*` events. */
export interface DeviceEventData {
  readonly device: DeviceFacts;
}
