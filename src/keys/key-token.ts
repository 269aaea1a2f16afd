/**
 * The form of an API key's token: `drb_`, 30 base62 characters, 6 characters of checksum (the scheme
 * of GitHub's tokens: CRC32 of the 30 characters in base62). Garbage is told apart without a query.
 */
import { createHash } from "node:crypto";

const PREFIX = "drb_";
const RANDOM_LENGTH = 30;
const CHECKSUM_LENGTH = 6;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SHAPE = new RegExp(
  `^${PREFIX}([0-9A-Za-z]{${RANDOM_LENGTH}})([0-9A-Za-z]{${CHECKSUM_LENGTH}})$`,
);

/** A new token: 178 random bits. */
export function newToken(): string {
  let random = "";
  while (random.length < RANDOM_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(RANDOM_LENGTH))) {
      // 248 is the largest multiple of 62 below 256: above it the remainder would favour some characters.
      if (byte < 248 && random.length < RANDOM_LENGTH) random += ALPHABET.charAt(byte % 62);
    }
  }
  return `${PREFIX}${random}${checksum(random)}`;
}

/** Whether this can be one of our tokens at all. */
export function isWellFormedToken(token: string): boolean {
  const match = SHAPE.exec(token);
  return match !== null && checksum(match[1] ?? "") === match[2];
}

/** What is stored of a token: SHA-256, base64url. */
export function tokenDigest(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

/** The part of a token that is shown to tell tokens apart: its first 12 characters. */
export function tokenShort(token: string): string {
  return token.slice(0, 12);
}

/** CRC32/IEEE of the characters, in base62, padded to 6. */
export function checksum(text: string): string {
  let rest = crc32(text);
  let encoded = "";
  while (rest > 0) {
    encoded = ALPHABET.charAt(rest % 62) + encoded;
    rest = Math.floor(rest / 62);
  }
  return encoded.padStart(CHECKSUM_LENGTH, "0");
}

/** workerd's node:zlib has crc32, but reaching for zlib makes the bundle load it; this is 6 lines. */
function crc32(text: string): number {
  let crc = 0xffff_ffff;
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
