/**
 * The token of an API key: `drb_`, 30 base62 characters, and 6 characters of checksum (as in GitHub's
 * tokens: the CRC32 of the 30 characters, in base62). So text that is no token is refused without a query.
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

/** Whether text has the form and the checksum of a token. */
export function isWellFormedToken(token: string): boolean {
  const match = SHAPE.exec(token);
  return match !== null && checksum(match[1] ?? "") === match[2];
}

/** The digest that is stored in place of a token: SHA-256, base64url. */
export function tokenDigest(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

/** The first 12 characters of a token. They are shown, so that people can tell tokens apart. */
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
