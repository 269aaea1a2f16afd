/** Device tokens as gateways and the relay meet them. */
import type { Database } from "../db/open";
import { tokenDigest } from "../keys/token";
import { judgeToken } from "./device";
import { findToken, noteSeen, type SeenDevice } from "./device-store";
import { implies } from "./scopes";
import { isDeviceToken } from "./token";

/** What a device token is worth. */
export type Verification =
  | { ok: true; device: SeenDevice; role: string; scopes: readonly string[] }
  | { ok: false; code: "not-found" }
  | { ok: false; code: "revoked" | "device-removed"; device: SeenDevice; role: string }
  | {
      ok: false;
      code: "scope-missing";
      device: SeenDevice;
      role: string;
      scopes: readonly string[];
    };

/**
 * What a device token is worth now. A device with a working one is noted as seen.
 * @param organisationId whose devices are known; null: all, where the caller compares
 * @param scope what the token must carry; null: nothing in particular
 */
export async function verifyDeviceToken(
  db: Database,
  organisationId: number | null,
  token: string,
  scope: string | null,
  now: number,
): Promise<Verification> {
  const found = isDeviceToken(token) ? await findToken(db, tokenDigest(token)) : null;
  if (!found || (organisationId !== null && found.device.organisationId !== organisationId)) {
    return { ok: false, code: "not-found" };
  }
  const { device, role } = found;
  const judged = judgeToken(device, role, found.digest);
  if (!judged.ok) return { ok: false, code: judged.code, device, role };
  await noteSeen(db, device, now);
  const { scopes } = judged;
  if (scope !== null && !implies(scopes, scope)) {
    return { ok: false, code: "scope-missing", device, role, scopes };
  }
  return { ok: true, device, role, scopes };
}
