/**
 * Paired devices are renamed and their tokens rotated. A change is written over the version that it was
 * decided on; who comes second decides again. Removal and revocation are in `pairing/unpair`, since they
 * end what the device asks for as well.
 */
import { type SQL, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import type { DomainEvent } from "../events/event";
import { selectApplication } from "./application-store";
import { closeSockets } from "./close-sockets";
import { type Device, grantOf, issueToken, judgeToken, rotateToken } from "./device";
import { type DeviceAnnouncement, deviceEvent } from "./device-events";
import {
  type DeviceWithLastSeen,
  deviceWrite,
  isDeviceUnchanged,
  selectDevice,
  toDevice,
  tokenWrites,
} from "./device-store";
import { newDeviceToken } from "./device-token";
import type { Actor, DeviceServices } from "./operator";
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

/** The changed device, or why there was no change. */
export type DeviceChangeResult =
  | { ok: true; device: DeviceWithLastSeen }
  | { ok: false; refusal: DeviceChangeRefusal };

/** Which device, and of whose. */
export interface DeviceRef {
  organisationId: number;
  applicationId: string;
  deviceId: string;
}

/** What a change makes of a device. */
export interface DeviceChange {
  device: Device;
  /** What is announced; null: nothing, and no sockets are closed. */
  event: DeviceAnnouncement | null;
  /** A token that was made with it. */
  token?: { digest: string; role: string };
  /** What happens with it, in the same batch. */
  further?: BatchAddition;
}

/** Further work in the batch of a change. */
export interface BatchAddition {
  /** The statements that come first, given that `onlyIf` holds while the device is as it was read. */
  statements(onlyIf: SQL): BatchItem<"sqlite">[];
  /** After them: whether the change may go on. */
  mayGoOn: SQL;
  /** The events of it. */
  owed: readonly DomainEvent[];
}
type Decide = (
  device: Device,
) => DeviceChange | DeviceChangeRefusal | Promise<DeviceChange | DeviceChangeRefusal>;

/** Gives a device a name of the operators', or (null) takes it. */
export function labelDevice(
  deps: DeviceServices,
  address: DeviceRef,
  label: string | null,
  now: number,
): Promise<DeviceChangeResult> {
  return changeDevice(deps, address, now, (device) => ({
    device: { ...device, version: device.version + 1, label },
    event: null,
  }));
}

/**
 * Stops a role's token, whose device collects another one by a signed request.
 * @param scopes what tokens of the role may carry from now on; null: as before. Within what is
 *   approved, and held by the operator
 */
export function rotateTokenByOperator(
  deps: DeviceServices,
  operator: Actor,
  address: Omit<DeviceRef, "organisationId">,
  role: string,
  scopes: readonly string[] | null,
  now: number,
): Promise<DeviceChangeResult> {
  const whole = { ...address, organisationId: operator.organisationId };
  return changeDevice(deps, whole, now, (device) => {
    const grant = grantOf(device, role);
    const limit = scopes ?? grant.limit;
    const refusal = judgeRotation(device, role, limit) ?? judgeHeld(operator.permissions, limit);
    if (refusal) return refusal;
    return {
      device: rotateToken(device, role, limit),
      event: { type: "device.token.rotated", role, closesSockets: true },
    };
  });
}

/**
 * A device that shows its own token gets another one in its place, with its scopes or some of them. The
 * token must still work when that is decided: of an operator and a thief who rotate at the same moment,
 * the thief never keeps a working one.
 * @param own what the token was found to be worth
 */
export async function rotateOwnToken(
  deps: DeviceServices,
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
  const address = { organisationId, applicationId, deviceId };
  const result = await changeDevice(deps, address, now, (device) => {
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

function judgeHeld(
  permissions: readonly string[],
  scopes: readonly string[],
): DeviceChangeRefusal | null {
  const scope = findScopeNotHeld(permissions, scopes);
  return scope === null ? null : { code: "scope-not-held", scope };
}

/**
 * Changes a paired device as `decide` says, over the version that it was shown; who comes in between
 * makes it decide again. What its sockets stand on no more is closed.
 */
export async function changeDevice(
  deps: DeviceServices,
  address: DeviceRef,
  now: number,
  decide: Decide,
): Promise<DeviceChangeResult> {
  const { db } = deps;
  return retryChange<DeviceChangeResult>("the device", async () => {
    const { applications, rows } = await runBatch(db, {
      applications: selectApplication(db, address.organisationId, address.applicationId),
      rows: selectDevice(db, address.applicationId, address.deviceId),
    });
    if (!applications[0]) return { ok: false, refusal: { code: "application-not-found" } };
    const before = rows[0] ? toDevice(rows[0]) : null;
    if (!before || before.removedAt !== null) {
      return { ok: false, refusal: { code: "device-not-found" } };
    }
    const decided = await decide(before);
    if ("code" in decided) return { ok: false, refusal: decided };
    if (await write(deps, before, decided, now)) {
      if (decided.event?.closesSockets) await closeSockets(deps, decided.device);
      return { ok: true, device: { ...decided.device, lastSeenAt: before.lastSeenAt } };
    }
    return undefined;
  });
}

/** Writes a change with its event; false when the device was changed since it was read. */
async function write(
  deps: DeviceServices,
  before: Device,
  { device, event, token, further }: DeviceChange,
  now: number,
): Promise<boolean> {
  const { db, events } = deps;
  const unchanged = isDeviceUnchanged(device.applicationId, device.id, before);
  const onlyIf = further ? sql`${unchanged} and ${further.mayGoOn}` : unchanged;
  const owed = [...(further?.owed ?? []), ...(event ? [deviceEvent(event, device, now)] : [])];
  // The write of the device comes last: it makes the condition of the others untrue.
  const { written } = await runBatch(db, {
    further: further?.statements(unchanged) ?? [],
    events: owed.length > 0 ? events.insertion(owed, onlyIf) : [],
    tokens: token ? tokenWrites(db, before, device, token, onlyIf) : [],
    written: deviceWrite(db, before, device, onlyIf),
  });
  if (written.length === 0) return false;
  if (owed.length > 0) events.announce(owed);
  return true;
}
