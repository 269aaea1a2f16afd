/**
 * Changes of paired devices: their label and their tokens. A change is written over the version of the
 * device that it was decided on. If another change came in between, it is decided again. Removal and
 * revocation are in `pairing/remove-and-revoke.ts`, because they also end the device's pending request;
 * they use `changeDevice` too.
 */
import { type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import type { DomainEvent } from "../events/event";
import type { Actor } from "./actor";
import { type ApplicationRef, selectApplication } from "./application-store";
import { closeDeviceSocketsNow } from "./close-sockets";
import { type Device, grantOf, issueToken, judgeToken, rotateToken } from "./device";
import { type DeviceAnnouncement, deviceEvent } from "./device-events";
import type { DeviceServices } from "./device-services";
import {
  type DeviceWithLastSeen,
  deviceWrite,
  isDeviceUnchanged,
  selectDevice,
  toDevice,
  tokenWrites,
} from "./device-store";
import { newDeviceToken } from "./device-token";
import { areImpliedBy, findScopeNotHeld, scopesOf } from "./scopes";

/** Why a device was not changed. */
export type DeviceChangeRefusal =
  | { code: "application-not-found" }
  | { code: "device-not-found" }
  | { code: "role-not-approved"; role: string }
  | { code: "token-revoked"; role: string }
  | { code: "wrong-device-token" }
  | { code: "exceeds-approved"; scope: string }
  | { code: "scope-not-held"; scope: string };

/** The changed device, or why it was not changed. */
export type DeviceChangeResult =
  | { ok: true; device: DeviceWithLastSeen }
  | { ok: false; refusal: DeviceChangeRefusal };

/** A device of an application of an organisation. */
export interface DeviceRef extends ApplicationRef {
  deviceId: string;
}

/** A device of the organisation that an actor belongs to. */
export type OwnDeviceRef = Omit<DeviceRef, "organisationId">;

/** A change of a device. */
export interface DeviceChange {
  /** The device after the change. */
  device: Device;
  /** The event of the change; null: it has none, and no sockets are closed. */
  event: DeviceAnnouncement | null;
  /** A new token that the change gives the device. */
  token?: { digest: string; role: string };
  /** What else is written in the same batch. */
  addition?: BatchAddition;
}

/** What a change writes besides the device, in the same batch. */
export interface BatchAddition {
  /** The statements. They come first in the batch. `onlyIf` holds while the device is as it was read. */
  statements(onlyIf: SQL): BatchItem<"sqlite">[];
  /** The condition, after these statements, under which the rest of the change is written. */
  mayGoOn: SQL;
  /** The events of these statements. */
  events: readonly DomainEvent[];
}

type Decide = (
  device: Device,
) => DeviceChange | DeviceChangeRefusal | Promise<DeviceChange | DeviceChangeRefusal>;

/** Gives a device a label, or takes it away (null). */
export function labelDevice(
  services: DeviceServices,
  ref: DeviceRef,
  label: string | null,
  now: number,
): Promise<DeviceChangeResult> {
  return changeDevice(services, ref, now, (device) => ({
    device: { ...device, version: device.version + 1, label },
    event: null,
  }));
}

/** A role whose token is rotated. */
export interface TokenRotation extends OwnDeviceRef {
  role: string;
  /**
   * The scopes that tokens of the role may carry from now on; null: the same as before. They must be
   * approved, and the actor must hold them.
   */
  scopes: readonly string[] | null;
}

/** An operator rotates a role's token. The old one stops, and the device gets a new one by a signed request. */
export function rotateTokenByOperator(
  services: DeviceServices,
  actor: Actor,
  { role, scopes, ...own }: TokenRotation,
  now: number,
): Promise<DeviceChangeResult> {
  const ref = { ...own, organisationId: actor.organisationId };
  return changeDevice(services, ref, now, (device) => {
    const grant = grantOf(device, role);
    const limit = scopes ?? grant.limit;
    const refusal = judgeRotation(device, role, limit) ?? judgeHeld(actor.permissions, limit);
    if (refusal) return refusal;
    return {
      device: rotateToken(device, role, limit),
      event: { type: "device.token.rotated", role, closesSockets: true },
    };
  });
}

/**
 * A device that shows its own token gets a new one in its place, with the same scopes or fewer. The shown
 * token must still work when the change is decided. So if an operator rotates the token while a thief
 * rotates it too, the thief never ends up with a token that works.
 * @param own what the verification of the shown token has found
 * @param wanted the scopes that the new token should carry; null: the same as the shown one
 */
export async function rotateOwnToken(
  services: DeviceServices,
  own: { device: Device; role: string; digest: string },
  wanted: readonly string[] | null,
  now: number,
): Promise<
  | { ok: true; token: string; role: string; scopes: readonly string[] }
  | { ok: false; refusal: DeviceChangeRefusal }
> {
  const { applicationId, organisationId, id: deviceId } = own.device;
  const { role } = own;
  const { token, digest } = newDeviceToken();
  let carried: readonly string[] = [];
  const ref = { organisationId, applicationId, deviceId };
  const result = await changeDevice(services, ref, now, (device) => {
    const judged = judgeToken(device, role, own.digest);
    if (!judged.ok) return { code: "wrong-device-token" };
    const scopes = wanted ?? judged.scopes;
    const beyond = scopes.find((scope) => !areImpliedBy([scope], judged.scopes));
    if (beyond !== undefined) return { code: "scope-not-held", scope: beyond };
    const refusal = judgeRotation(device, role, scopes);
    if (refusal) return refusal;
    const issued = issueToken(device, role, scopes, digest);
    carried = issued.scopes;
    return {
      device: issued.device,
      event: { type: "device.token.rotated", role, closesSockets: false },
      token: { digest, role },
    };
  });
  return result.ok ? { ok: true, token, role, scopes: carried } : result;
}

/** Why a role's token may not get these scopes; null: it may. */
function judgeRotation(
  device: Device,
  role: string,
  scopes: readonly string[],
): DeviceChangeRefusal | null {
  if (!device.roles.includes(role)) return { code: "role-not-approved", role };
  if (grantOf(device, role).revoked) return { code: "token-revoked", role };
  const approved = scopesOf(role, device.scopes);
  const scope = scopes.find((each) => !areImpliedBy([each], approved));
  return scope === undefined ? null : { code: "exceeds-approved", scope };
}

/** Why a key with these permissions may not give a token these scopes; null: it may. */
function judgeHeld(
  permissions: readonly string[],
  scopes: readonly string[],
): DeviceChangeRefusal | null {
  const scope = findScopeNotHeld(permissions, scopes);
  return scope === null ? null : { code: "scope-not-held", scope };
}

/**
 * Changes a paired device. `decide` is given the device and says how to change it, or why not. It is
 * called again if another change is stored before this one. If the change closes sockets, they are
 * closed before this function returns.
 */
export async function changeDevice(
  services: DeviceServices,
  { organisationId, applicationId, deviceId }: DeviceRef,
  now: number,
  decide: Decide,
): Promise<DeviceChangeResult> {
  const { db } = services;
  return retryChange<DeviceChangeResult>("the device", async () => {
    const { applications, rows } = await runBatch(db, {
      applications: selectApplication(db, organisationId, applicationId),
      rows: selectDevice(db, applicationId, deviceId),
    });
    if (!applications[0]) return { ok: false, refusal: { code: "application-not-found" } };
    const before = rows[0] ? toDevice(rows[0]) : null;
    if (!before || before.removedAt !== null) {
      return { ok: false, refusal: { code: "device-not-found" } };
    }
    const decided = await decide(before);
    if ("code" in decided) return { ok: false, refusal: decided };
    if (!(await write(services, before, decided, now))) return undefined;
    if (decided.event?.closesSockets) await closeDeviceSocketsNow(services, decided.device);
    return { ok: true, device: { ...decided.device, lastSeenAt: before.lastSeenAt } };
  });
}

/** Writes a change with its event. False: the device was changed since it was read, and nothing was written. */
async function write(
  { db, events }: DeviceServices,
  before: Device,
  { device, event, token, addition }: DeviceChange,
  now: number,
): Promise<boolean> {
  const unchanged = isDeviceUnchanged(device.applicationId, device.id, before);
  const onlyIf = addition ? sql`${unchanged} and ${addition.mayGoOn}` : unchanged;
  const owed = [...(addition?.events ?? []), ...(event ? [deviceEvent(event, device, now)] : [])];
  // The device is written last, because that makes the condition of the other statements untrue.
  const { written } = await runBatch(db, {
    addition: addition?.statements(unchanged) ?? [],
    events: owed.length > 0 ? events.insertion(owed, onlyIf) : [],
    tokens: token ? tokenWrites(db, { before, device, token }, onlyIf) : [],
    written: deviceWrite(db, before, device, onlyIf),
  });
  if (written.length === 0) return false;
  if (owed.length > 0) events.sendAfterAnswer(owed);
  return true;
}
