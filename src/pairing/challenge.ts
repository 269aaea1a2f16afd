/**
 * Challenges: nonces that devices sign to show that they request now. Nothing is stored for a challenge,
 * because it carries a proof that this deployment made it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { deriveKey } from "../platform/derive";

/** How long a challenge may be answered, and how far `signed_at` may differ from the server's time. */
export const CHALLENGE_MS = 120_000;

/** A challenge is the time, random bytes, and the proof of both. */
const TIME_BYTES = 6;
const RANDOM_BYTES = 12;
const PROOF_BYTES = 16;

/** A new challenge for one signed request to this application. */
export function newChallenge(
  secret: string,
  applicationId: string,
  now: number,
): { nonce: string; expiresAt: number } {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeUIntBE(now, 0, TIME_BYTES);
  const stem = Buffer.concat([time, randomBytes(RANDOM_BYTES)]);
  const nonce = Buffer.concat([stem, proofOf(secret, applicationId, stem)]);
  return { nonce: nonce.toString("base64url"), expiresAt: now + CHALLENGE_MS };
}

/**
 * Whether a nonce is a challenge that this deployment made for this application, and not too old. Whether
 * it was used before is not known here: the batch that stores the request decides that.
 * @returns what is wrong with it; null: nothing
 */
export function judgeChallenge(
  secret: string,
  applicationId: string,
  nonce: string,
  now: number,
): "unknown" | "expired" | null {
  const bytes = Buffer.from(nonce, "base64url");
  const stem = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
  const right = proofOf(secret, applicationId, stem);
  if (bytes.length !== TIME_BYTES + RANDOM_BYTES + PROOF_BYTES) return "unknown";
  // Only one spelling of the bytes is accepted. D1 would take another spelling for another nonce.
  if (bytes.toString("base64url") !== nonce) return "unknown";
  if (!timingSafeEqual(bytes.subarray(stem.length), right)) return "unknown";
  const age = now - bytes.readUIntBE(0, TIME_BYTES);
  return age >= CHALLENGE_MS || age < -CHALLENGE_MS ? "expired" : null;
}

function proofOf(secret: string, applicationId: string, stem: Uint8Array): Buffer {
  const key = deriveKey(secret, "challenge", [applicationId]);
  return createHmac("sha256", key).update(stem).digest().subarray(0, PROOF_BYTES);
}
