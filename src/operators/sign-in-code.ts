/**
 * Sign-in codes: makes and reads them. Whoever has one signs in once as an API key, without its token.
 * Nothing is stored when a code is made, because it carries a proof that this deployment made it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { deriveKey } from "../platform/derive";

/** How long a sign-in code is good. A nonce is remembered for longer, so that no code is good twice. */
export const SIGN_IN_CODE_MS = 600_000;

const PREFIX = "drbc_";
/** A code is its end, the key's id and token version, random bytes, and the proof of them all. */
const TIME_BYTES = 6;
const KEY_BYTES = 6;
const VERSION_BYTES = 4;
const RANDOM_BYTES = 16;
const PROOF_BYTES = 16;
const STEM_BYTES = TIME_BYTES + KEY_BYTES + VERSION_BYTES + RANDOM_BYTES;
/** In base64url. The bytes are a multiple of three, so each code has one spelling. */
const SHAPE = new RegExp(`^${PREFIX}([A-Za-z0-9_-]{${((STEM_BYTES + PROOF_BYTES) / 3) * 4}})$`);

/** What a sign-in code says. */
export interface SignInCode {
  keyId: number;
  /** The version of the key's token: a refresh of the token ends the code. */
  tokenVersion: number;
  /** Tells this code from all others. */
  id: string;
}

/** A new code with which somebody may sign in as this key. It never ends later than the key: Unix milliseconds. */
export function newSignInCode(
  secret: string,
  key: { id: number; tokenVersion: number; expiresAt: number | null },
  now: number,
): { code: string; expiresAt: number } {
  const expiresAt = Math.min(now + SIGN_IN_CODE_MS, key.expiresAt ?? Number.POSITIVE_INFINITY);
  const facts = Buffer.alloc(STEM_BYTES - RANDOM_BYTES);
  facts.writeUIntBE(expiresAt, 0, TIME_BYTES);
  facts.writeUIntBE(key.id, TIME_BYTES, KEY_BYTES);
  facts.writeUIntBE(key.tokenVersion, TIME_BYTES + KEY_BYTES, VERSION_BYTES);
  const stem = Buffer.concat([facts, randomBytes(RANDOM_BYTES)]);
  const bytes = Buffer.concat([stem, proofOf(secret, stem)]);
  return { code: `${PREFIX}${bytes.toString("base64url")}`, expiresAt };
}

/**
 * What a code says. Whether it was used before, and whether its key still works, is not known here.
 * @returns `unknown`: this deployment did not make it. `ended`: its time is over
 */
export function readSignInCode(
  secret: string,
  code: string,
  now: number,
): SignInCode | "unknown" | "ended" {
  const bytes = Buffer.from(SHAPE.exec(code)?.[1] ?? "", "base64url");
  if (bytes.length === 0) return "unknown";
  const stem = bytes.subarray(0, STEM_BYTES);
  if (!timingSafeEqual(bytes.subarray(STEM_BYTES), proofOf(secret, stem))) return "unknown";
  if (stem.readUIntBE(0, TIME_BYTES) <= now) return "ended";
  return {
    keyId: stem.readUIntBE(TIME_BYTES, KEY_BYTES),
    tokenVersion: stem.readUIntBE(TIME_BYTES + KEY_BYTES, VERSION_BYTES),
    id: stem.subarray(-RANDOM_BYTES).toString("base64url"),
  };
}

function proofOf(secret: string, stem: Uint8Array): Buffer {
  const key = deriveKey(secret, "sign-in-codes");
  return createHmac("sha256", key).update(stem).digest().subarray(0, PROOF_BYTES);
}
