/**
 * What devices are handed before they have a token. All of it is derived, so that nothing is stored:
 * challenges carry their own proof, and the poll token of a request is always the same.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { codeFrom } from "../platform/codes";
import { deriveKey } from "../platform/derive";

/** How long a challenge may be answered, and how far `signed_at` may be off. */
export const CHALLENGE_MS = 120_000;

const TIME_BYTES = 6;
const RANDOM_BYTES = 12;
const PROOF_BYTES = 16;

/** A nonce for one signed request to this application, which it proves to be ours. */
export function newChallenge(
  secret: string,
  applicationId: string,
  now: number,
): { nonce: string; expiresAt: number } {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeUIntBE(now, 0, TIME_BYTES);
  const stem = Buffer.concat([time, randomBytes(RANDOM_BYTES)]);
  const nonce = Buffer.concat([stem, proof(deriveKey(secret, "challenge", [applicationId]), stem)]);
  return { nonce: nonce.toString("base64url"), expiresAt: now + CHALLENGE_MS };
}

/** Whether a nonce is ours, for this application, and not too old. That it is new is for the store to say. */
export function judgeChallenge(
  secret: string,
  applicationId: string,
  nonce: string,
  now: number,
): "unknown" | "expired" | null {
  const bytes = Buffer.from(nonce, "base64url");
  const stem = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
  const right = proof(deriveKey(secret, "challenge", [applicationId]), stem);
  if (bytes.length !== TIME_BYTES + RANDOM_BYTES + PROOF_BYTES) return "unknown";
  // One spelling only: another one would be another nonce to the store.
  if (bytes.toString("base64url") !== nonce) return "unknown";
  if (!timingSafeEqual(bytes.subarray(stem.length), right)) return "unknown";
  const age = now - bytes.readUIntBE(0, TIME_BYTES);
  return age >= CHALLENGE_MS || age < -CHALLENGE_MS ? "expired" : null;
}

/** The token with which the device that asked polls this request. */
export function pollToken(secret: string, applicationId: string, requestId: string): string {
  const bytes = proof(deriveKey(secret, "poll", [applicationId, requestId]), Buffer.alloc(0), 32);
  return `drbp_${bytes.toString("base64url")}`;
}

/** Whether this is that token. */
export function isPollToken(
  secret: string,
  applicationId: string,
  requestId: string,
  token: string,
): boolean {
  const right = Buffer.from(pollToken(secret, applicationId, requestId));
  const given = Buffer.from(token);
  return given.length === right.length && timingSafeEqual(given, right);
}

const CODE_LENGTH = 16;

/** A new setup code: 74 random bits. */
export function newSetupCode(): string {
  return codeFrom(randomBytes(16), CODE_LENGTH);
}

/** What is stored of a setup code: a keyed digest. */
export function setupCodeDigest(secret: string, applicationId: string, code: string): string {
  const key = deriveKey(secret, "setup-code", [applicationId]);
  return proof(key, Buffer.from(code), 32).toString("base64url");
}

function proof(key: Buffer, data: Uint8Array, bytes = PROOF_BYTES): Buffer {
  return createHmac("sha256", key).update(data).digest().subarray(0, bytes);
}
