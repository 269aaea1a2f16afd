/** The string that a device signs, in OpenClaw's version 3, and the check of its signature. */

/** The fields that are signed. Texts are as the device has sent them. */
export interface SignedFields {
  deviceId: string;
  clientId: string;
  clientMode: string;
  role: string;
  /** In the order in which the device has sent them. */
  scopes: readonly string[];
  /** Unix milliseconds. */
  signedAt: number;
  /** The setup code; empty: none. `token` is OpenClaw's name for it. */
  token: string;
  nonce: string;
  platform: string;
  family: string;
}

/**
 * The string that is signed. No field may contain `|`, and no scope `,`, because the string could then be
 * read in two ways. The schema of the request refuses them.
 */
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

/**
 * A platform or family in the form in which it is signed, compared and stored: trimmed, with ASCII letters
 * in lower case.
 */
export function normalisePlatform(text: string): string {
  return text.trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

const SIGNATURE_BYTES = 64;

/**
 * Whether this key signed these fields.
 * @param key 32 bytes that `parseDeviceKey` has accepted. With other keys a signature proves nothing
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
