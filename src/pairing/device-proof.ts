/** Whether a device that asks has its key, and asks now: what is judged before anything is read of it. */

import type { RequestedAccess } from "../devices/profile";
import { CHALLENGE_MS, judgeChallenge } from "./challenge";
import { parseDeviceKey } from "./device-key";
import { isSignedBy } from "./signed-string";

/** What a device sends to prove that it asks. */
export interface DeviceProof {
  nonce: string;
  /** Unix milliseconds. */
  signedAt: number;
  /** base64url of 64 bytes. */
  signature: string;
  setupCode: string | null;
}

/** Why nothing was asked for. */
export type ProofRefusal =
  | { code: "invalid-key"; problem: "spelling" | "non-canonical" | "small-order" }
  | { code: "wrong-device-id" }
  | { code: "unknown-nonce" }
  | { code: "nonce-expired" }
  | { code: "stale-signature"; signedAt: number; now: number }
  | { code: "wrong-signature" };

/**
 * What is wrong with a proof; null: the device with this key asks for this, now, in this application.
 * That the nonce was not used before is for the store to say.
 * @param asked as sent, except that platform and family may be normalised
 */
export async function judgeProof(
  secret: string,
  applicationId: string,
  asked: RequestedAccess,
  proof: DeviceProof,
  now: number,
): Promise<ProofRefusal | null> {
  const parsed = parseDeviceKey(asked.publicKey);
  if (!parsed.ok) return { code: "invalid-key", problem: parsed.problem };
  if (parsed.key.id !== asked.deviceId) return { code: "wrong-device-id" };
  const nonce = judgeChallenge(secret, applicationId, proof.nonce, now);
  if (nonce === "unknown") return { code: "unknown-nonce" };
  if (nonce === "expired") return { code: "nonce-expired" };
  if (Math.abs(now - proof.signedAt) > CHALLENGE_MS) {
    return { code: "stale-signature", signedAt: proof.signedAt, now };
  }
  const signed = await isSignedBy(parsed.key.bytes, proof.signature, {
    ...asked,
    signedAt: proof.signedAt,
    token: proof.setupCode ?? "",
    nonce: proof.nonce,
  });
  return signed ? null : { code: "wrong-signature" };
}
