/** Relay permissions between a session's users, as a relay node knows them. Pure. */

import {
  type LinkPermissions,
  PERMISSIONS_MAX_AGE_MS,
  PERMISSIONS_REFRESH_MS,
} from "../src/relay-nodes/link-protocol";
import { FIRST_HOST } from "../src/session/session";

/** How soon permissions may be asked for again. */
export const ASK_AGAIN_MS = 1_000;

/** Who of a session may send to whom, as it was read at `readAt`. */
export interface Permissions {
  readonly toClients: ReadonlySet<number>;
  readonly toHost: ReadonlySet<number>;
  /** Milliseconds of a clock that never jumps. */
  readonly readAt: number;
}

/** What Drawbridge has said of them now. */
export function toPermissions({ to_clients, to_host, age_ms }: LinkPermissions, now: number) {
  return {
    toClients: new Set(to_clients),
    toHost: new Set(to_host),
    readAt: now - age_ms,
  } satisfies Permissions;
}

/** Whether they are to be asked for again. Null: they are not known. */
export function areOld(permissions: Permissions | null, now: number): boolean {
  return permissions === null || now - permissions.readAt > PERMISSIONS_REFRESH_MS;
}

/** Whether one user may send to another. What is too old permits nothing. */
export function isPermitted(
  permissions: Permissions | null,
  { from, to }: { from: number; to: number },
  now: number,
): boolean {
  if (permissions === null || now - permissions.readAt > PERMISSIONS_MAX_AGE_MS) return false;
  return from === FIRST_HOST ? permissions.toClients.has(to) : permissions.toHost.has(from);
}
