/**
 * Checks that a device has its key and makes its request now. The route of pairing requests has looked up
 * the application by then. It calls this before it reads the device or its requests, and before it stores
 * anything.
 */
import type { RequestedAccess } from "../devices/profile";
import { CHALLENGE_MS, judgeChallenge } from "./challenge";
import { type DeviceKeyProblem, parseDeviceKey } from "./device-key";
import { isSignedBy } from "./signed-string";

/** The proof that a device sends with its request. */
export interface DeviceProof {
  nonce: string;
  /** Unix milliseconds. */
  signedAt: number;
  /** base64url of 64 bytes. */
  signature: string;
  setupCode: string | null;
}

/** Why a proof is refused. */
export type ProofRefusal =
  | { code: "invalid-key"; problem: DeviceKeyProblem }
  | { code: "wrong-device-id" }
  | { code: "unknown-nonce" }
  | { code: "nonce-expired" }
  | { code: "stale-signature"; signedAt: number; now: number }
  | { code: "wrong-signature" };

/** A request to an application, with its proof. */
export interface RequestWithProof {
  applicationId: string;
  /** As the device has sent it, except that platform and family may be normalised. */
  requested: RequestedAccess;
  proof: DeviceProof;
}

/**
 * Why a proof is refused; null: the device with this key requests this access, now, in this application.
 * Whether the nonce was used before is not known here: the batch that stores the request decides that.
 */
export async function judgeProof(
  secret: string,
  { applicationId, requested, proof }: RequestWithProof,
  now: number,
): Promise<ProofRefusal | null> {
  const parsed = parseDeviceKey(requested.publicKey);
  if (!parsed.ok) return { code: "invalid-key", problem: parsed.problem };
  if (parsed.key.id !== requested.deviceId) return { code: "wrong-device-id" };
  const nonce = judgeChallenge(secret, applicationId, proof.nonce, now);
  if (nonce === "unknown") return { code: "unknown-nonce" };
  if (nonce === "expired") return { code: "nonce-expired" };
  if (Math.abs(now - proof.signedAt) > CHALLENGE_MS) {
    return { code: "stale-signature", signedAt: proof.signedAt, now };
  }
  const signed = await isSignedBy(parsed.key.bytes, proof.signature, {
    ...requested,
    signedAt: proof.signedAt,
    token: proof.setupCode ?? "",
    nonce: proof.nonce,
  });
  return signed ? null : { code: "wrong-signature" };
}
