/** Relay permissions and what they mean: who may send to whom. Pure. */

/** From the local side's point of view. */
export type PermissionDirection = "send" | "receive";

export const DIRECTIONS: readonly PermissionDirection[] = ["send", "receive"];

/** The form of a connection's id. `.` and `..` would be lost in a path. */
export const CONNECTION_ID_PATTERN = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,16}$/;

/** A named endpoint of an organisation. */
export interface Connection {
  readonly connectionId: string;
  readonly memo: string;
}

/** What a relay permission is about; an organisation has at most one for each. */
export interface PermissionKey {
  /** The local side. */
  readonly connectionId: string;
  readonly remoteConnectionId: string;
  readonly direction: PermissionDirection;
}

/** A relay permission as far as it decides anything. */
export interface PermissionState extends PermissionKey {
  readonly enabled: boolean;
}

/** A directed grant between two connections. */
export interface RelayPermission extends PermissionState {
  readonly memo: string;
  /** Rises with every change, also over a deletion: at least the time of the change, Unix milliseconds. */
  readonly version: number;
}

/** What can be said of a permission. */
export type PermissionFacts = Omit<RelayPermission, "version">;

/** The version after one, or the first (`before` 0), at a moment in Unix milliseconds. */
export function nextPermissionVersion(before: number, now: number): number {
  return Math.max(before + 1, now);
}

/** A permission without which a transfer is not allowed, and what is wrong with it. */
export interface MissingPermission extends PermissionKey {
  readonly state: "absent" | "disabled";
}

/** The two permissions that a transfer needs: each side has to want it. */
export function neededPermissions(from: string, to: string): [PermissionKey, PermissionKey] {
  return [
    { connectionId: from, remoteConnectionId: to, direction: "send" },
    { connectionId: to, remoteConnectionId: from, direction: "receive" },
  ];
}

/**
 * Whether `from` may send to `to`: only where the sender's `send` and the receiver's `receive` are
 * both there and enabled.
 * @param isEnabled of a permission; null where there is none
 * @returns what is missing; empty when the transfer is allowed
 */
export function mayRelay(
  from: string,
  to: string,
  isEnabled: (key: PermissionKey) => boolean | null,
): { allowed: boolean; missing: MissingPermission[] } {
  const missing = neededPermissions(from, to).flatMap((key): MissingPermission[] => {
    const enabled = isEnabled(key);
    return enabled === true ? [] : [{ ...key, state: enabled === null ? "absent" : "disabled" }];
  });
  return { allowed: missing.length === 0, missing };
}

/** Looks permissions up among these, for `mayRelay`. */
export function permissionLookup(
  permissions: readonly PermissionState[],
): (key: PermissionKey) => boolean | null {
  const states = new Map(permissions.map((one) => [nameOf(one), one.enabled]));
  return (key) => states.get(nameOf(key)) ?? null;
}

/** No connection id holds a slash. */
function nameOf({ connectionId, remoteConnectionId, direction }: PermissionKey): string {
  return `${connectionId}/${remoteConnectionId}/${direction}`;
}

/** The data of all `relay-permission.*` events. */
export interface PermissionEventData {
  readonly permission: RelayPermission;
}

/** The data of all `connection.*` events. What a deleted one permitted is gone without events of its own. */
export interface ConnectionEventData {
  readonly connection: Connection;
}
