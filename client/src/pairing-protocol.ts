/** What a device computes when it pairs: its id, its fingerprint and the string that it signs. Pure. */

/** Who asks. Texts are as they are sent. */
export interface PairingClient {
  /** What program asks: 1 to 64 characters, without `|` and `,`. */
  id: string;
  /** How it runs: 1 to 64 characters, without `|` and `,`. */
  mode: string;
  /** What the operator sees: up to 64 characters. It is not signed. */
  displayName?: string | undefined;
  /** Such as `linux`: up to 64 characters, without `|` and `,`. */
  platform?: string | undefined;
  /** Such as `server`: the same rule. */
  deviceFamily?: string | undefined;
}

/** What the signature is made of. */
export interface SignedFields {
  /** See `deviceIdOf`. */
  deviceId: string;
  client: PairingClient;
  role: string;
  /** In the order in which they are sent. */
  scopes: readonly string[];
  /** Unix milliseconds. */
  signedAt: number;
  /** Empty: none. */
  setupCode: string;
  /** Of the challenge. */
  nonce: string;
}

/** The string that the device signs, as UTF-8. */
export function signedString(fields: SignedFields): string {
  const { client } = fields;
  return [
    "v3",
    fields.deviceId,
    client.id,
    client.mode,
    fields.role,
    fields.scopes.join(","),
    fields.signedAt,
    fields.setupCode,
    fields.nonce,
    normalise(client.platform),
    normalise(client.deviceFamily),
  ].join("|");
}

/** Platform and family are signed without white space around them, and with A to Z in lower case. */
function normalise(text = ""): string {
  return text.trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** The id of the device with this public key (32 bytes): its SHA-256, in lower-case hexadecimal. */
export async function deviceIdOf(publicKey: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", publicKey));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Digits and capitals without those that look alike. */
const FINGERPRINT_DIGITS = "34679ACDEFGHJKMNPQRTUVWXY";

/** 8 characters made of a device's id. The operator sees the same ones. */
export function fingerprintOf(deviceId: string): string {
  let number = BigInt(`0x${deviceId.slice(0, 32)}`);
  let fingerprint = "";
  for (; fingerprint.length < 8; number /= 25n) {
    fingerprint += FINGERPRINT_DIGITS.charAt(Number(number % 25n));
  }
  return fingerprint;
}

/** Base64url, without padding. */
export function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
