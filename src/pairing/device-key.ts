/**
 * Checks a device's Ed25519 key before any signature is verified with it. workerd's WebCrypto imports all
 * encodings of the curve's points of small order and accepts forged signatures for them (2026-11). So this
 * file refuses such keys.
 */
import { createHash } from "node:crypto";
import { codeFrom } from "../platform/codes";

/** A key that was accepted and may identify a device. */
export interface DeviceKey {
  bytes: Uint8Array;
  /** The device's id: lower-case hex SHA-256 of the key. */
  id: string;
}

/** Why a key is refused. */
export type DeviceKeyProblem = "spelling" | "non-canonical" | "small-order";

const KEY_BYTES = 32;
/** The prime of the field, 2²⁵⁵ − 19. */
const P = 2n ** 255n - 19n;

/**
 * The y coordinates of the eight points whose order divides 8: of order 1 and 2 (1, −1), of order 4
 * (0, for two points) and of order 8 (two values, for two points each). A key encodes a y and the sign
 * of its x. With one of these y, each sign gives a point of small order, or no point at all.
 */
const SMALL_ORDER_Y = new Set([
  1n,
  P - 1n,
  0n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
]);

/** Reads a public key: base64url of 32 bytes without padding, in its only canonical spelling. */
export function parseDeviceKey(
  text: string,
): { ok: true; key: DeviceKey } | { ok: false; problem: DeviceKeyProblem } {
  const bytes = Buffer.from(text, "base64url");
  // Buffer skips characters that are not base64url. So only the spelling that it writes itself is accepted.
  if (bytes.length !== KEY_BYTES || bytes.toString("base64url") !== text) {
    return { ok: false, problem: "spelling" };
  }
  const y = yOf(bytes);
  if (y >= P) return { ok: false, problem: "non-canonical" };
  if (SMALL_ORDER_Y.has(y)) return { ok: false, problem: "small-order" };
  return { ok: true, key: { bytes, id: createHash("sha256").update(bytes).digest("hex") } };
}

const FINGERPRINT_LENGTH = 8;

/** 8 characters made of the device's id. The device and the operator both show them, for people to compare. */
export function fingerprint(deviceId: string): string {
  return codeFrom(Buffer.from(deviceId.slice(0, 32), "hex"), FINGERPRINT_LENGTH);
}

/** The low 255 bits, little-endian; the highest bit is the sign of x (RFC 8032, section 5.1.2). */
function yOf(bytes: Uint8Array): bigint {
  const reversed = Buffer.from(bytes).reverse();
  return BigInt(`0x${reversed.toString("hex")}`) & (2n ** 255n - 1n);
}
