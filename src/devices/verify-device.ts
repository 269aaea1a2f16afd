/** Says what a device token is worth, to gateways and to relay sessions. */
import type { Database } from "../db/open";
import { tokenDigest } from "../keys/key-token";
import { type Device, judgePairing, judgeToken } from "./device";
import {
  type DeviceWithLastSeen,
  findDeviceInAllApplications,
  findDeviceToken,
} from "./device-store";
import { isDeviceToken } from "./device-token";
import { noteSeen } from "./last-seen";
import { implies } from "./scopes";

/** What a device token is worth. */
export type DeviceTokenVerification =
  | {
      ok: true;
      device: DeviceWithLastSeen;
      role: string;
      scopes: readonly string[];
      digest: string;
    }
  | { ok: false; code: "not-found" }
  | { ok: false; code: "revoked" | "device-removed"; device: DeviceWithLastSeen; role: string }
  | {
      ok: false;
      code: "scope-missing";
      device: DeviceWithLastSeen;
      role: string;
      scopes: readonly string[];
    };

/** `ctx` keeps the Worker alive until the device is written as seen, after the answer. */
interface VerificationServices {
  db: Database;
  ctx: { waitUntil(promise: Promise<unknown>): void };
}

/** What the caller expects of a token. */
interface ExpectedToken {
  /** Tokens of other organisations are not found; null: of any organisation, and the caller compares. */
  organisationId: number | null;
  /** The scope that the token must carry; null: it need not carry any. */
  scope: string | null;
}

/**
 * What a device token is worth now. The device of a working token is written as seen, after the answer.
 * @param now Unix milliseconds
 */
export async function verifyDeviceToken(
  { db, ctx }: VerificationServices,
  token: string,
  { organisationId, scope }: ExpectedToken,
  now: number,
): Promise<DeviceTokenVerification> {
  const found = isDeviceToken(token) ? await findDeviceToken(db, tokenDigest(token)) : null;
  if (!found || (organisationId !== null && found.device.organisationId !== organisationId)) {
    return { ok: false, code: "not-found" };
  }
  const { device, role } = found;
  const judged = judgeToken(device, role, found.digest);
  if (!judged.ok) return { ok: false, code: judged.code, device, role };
  noteSeen(db, ctx, device, now);
  const { scopes } = judged;
  if (scope !== null && !implies(scopes, scope)) {
    return { ok: false, code: "scope-missing", device, role, scopes };
  }
  return { ok: true, device, role, scopes, digest: found.digest };
}

/**
 * Whether a device may connect to a relay session that knows it only by its id. It must be paired and not
 * revoked in an application of the organisation. If it was paired in several, one of them is enough.
 */
export async function findPairedDevice(
  db: Database,
  organisationId: number,
  deviceId: string,
): Promise<
  { ok: true; device: Device } | { ok: false; code: "not-paired" | "revoked" | "device-removed" }
> {
  const judged = (await findDeviceInAllApplications(db, organisationId, deviceId)).map(
    (device) => ({ device, judgement: judgePairing(device) }),
  );
  const paired = judged.find(({ judgement }) => judgement === "paired");
  if (paired) return { ok: true, device: paired.device };
  if (judged.length === 0) return { ok: false, code: "not-paired" };
  const revoked = judged.some(({ judgement }) => judgement === "revoked");
  return { ok: false, code: revoked ? "revoked" : "device-removed" };
}
