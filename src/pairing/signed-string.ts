/** What a device signs, and whether it did: OpenClaw's version 3 of the string. */

/** All that is signed. Texts are as the device sent them. */
export interface SignedFields {
  deviceId: string;
  clientId: string;
  clientMode: string;
  role: string;
  /** In the order sent. */
  scopes: readonly string[];
  /** Unix milliseconds. */
  signedAt: number;
  /** Empty, or the setup code. */
  token: string;
  nonce: string;
  platform: string;
  family: string;
}

/** The string under the signature. No field may hold `|`, and no scope `,`: it could be read in two ways. */
export function signedString(fields: SignedFields): string {
  return [
    "v3",
    fields.deviceId,
    fields.clientId,
    fields.clientMode,
    fields.role,
    fields.scopes.join(","),
    String(fields.signedAt),
    fields.token,
    fields.nonce,
    normalisePlatform(fields.platform),
    normalisePlatform(fields.family),
  ].join("|");
}

/** Platform and family as they are signed, compared and kept: trimmed, ASCII letters in lower case. */
export function normalisePlatform(text: string): string {
  return text.trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

const SIGNATURE_BYTES = 64;

/**
 * Whether this key signed these fields.
 * @param key 32 bytes that `parseDeviceKey` accepted: with others a signature proves nothing
 * @param signature base64url without padding
 */
export async function isSignedBy(
  key: Uint8Array,
  signature: string,
  fields: SignedFields,
): Promise<boolean> {
  const bytes = Buffer.from(signature, "base64url");
  if (bytes.length !== SIGNATURE_BYTES || bytes.toString("base64url") !== signature) return false;
  const imported = await crypto.subtle
    .importKey("raw", key, { name: "Ed25519" }, false, ["verify"])
    .catch(() => null);
  if (imported === null) return false;
  const signed = new TextEncoder().encode(signedString(fields));
  return crypto.subtle.verify({ name: "Ed25519" }, imported, bytes, signed);
}
