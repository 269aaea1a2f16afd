/** What a relay permission is, and which connection may send to which. Pure. */

/** From the point of view of the local side (`connectionId`). */
export type PermissionDirection = "send" | "receive";

export const DIRECTIONS: readonly PermissionDirection[] = ["send", "receive"];

/** The form of a connection's id. Not `.` or `..`: these would be lost from a URL's path. */
export const CONNECTION_ID_PATTERN = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,16}$/;

/** The most characters of a memo, of a connection or a permission. */
export const MAX_MEMO_LENGTH = 256;

/** A name that an organisation registers, and that its users may carry in relay sessions. */
export interface Connection {
  readonly connectionId: string;
  readonly memo: string;
}

/** What identifies a relay permission: an organisation has at most one for each key. */
export interface PermissionKey {
  /** The local side. */
  readonly connectionId: string;
  readonly remoteConnectionId: string;
  readonly direction: PermissionDirection;
}

/** The part of a relay permission that decides whether frames pass. */
export interface PermissionState extends PermissionKey {
  readonly enabled: boolean;
}

/** Whether one connection may send to, or receive from, another. */
export interface RelayPermission extends PermissionState {
  readonly memo: string;
  /**
   * Rises with every change. It is at least the time of the change, in Unix milliseconds: so a permission
   * that is deleted and created again has a higher one.
   */
  readonly version: number;
}

/** A relay permission as callers see it. */
export type PermissionFacts = Omit<RelayPermission, "version">;

/**
 * The next version of a permission.
 * @param before the current version; 0 for a new permission
 * @param now Unix milliseconds
 */
export function nextPermissionVersion(before: number, now: number): number {
  return Math.max(before + 1, now);
}

/** A permission that is missing for a transfer: it does not exist, or it is not enabled. */
export interface MissingPermission extends PermissionKey {
  readonly state: "absent" | "disabled";
}

/** The two permissions that a transfer needs: one of the sender, one of the receiver. */
export function neededPermissions(from: string, to: string): [PermissionKey, PermissionKey] {
  return [
    { connectionId: from, remoteConnectionId: to, direction: "send" },
    { connectionId: to, remoteConnectionId: from, direction: "receive" },
  ];
}

/**
 * Whether `from` may send to `to`: only if the sender's `send` permission and the receiver's `receive`
 * permission both exist and are enabled.
 * @param isEnabled whether a permission is enabled; null if there is none
 * @returns `missing` is empty when the transfer is allowed
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

/** A function that looks a permission up in this list, for `mayRelay`. */
export function permissionLookup(
  permissions: readonly PermissionState[],
): (key: PermissionKey) => boolean | null {
  const states = new Map(permissions.map((one) => [nameOf(one), one.enabled]));
  return (key) => states.get(nameOf(key)) ?? null;
}

/** The slash keeps the parts apart: no connection id has one. */
function nameOf({ connectionId, remoteConnectionId, direction }: PermissionKey): string {
  return `${connectionId}/${remoteConnectionId}/${direction}`;
}

/** The data of all `relay-permission.*` events. */
export interface PermissionEventData {
  readonly permission: RelayPermission;
}

/** The data of all `connection.*` events. Deleting a connection deletes its permissions, without events for them. */
export interface ConnectionEventData {
  readonly connection: Connection;
}
