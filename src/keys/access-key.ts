/** The access key pair of an API key, for clients that sign their requests. Derived, never stored. */

import type { PreviousSecret } from "../db/schema/webhooks";
import { deriveKey } from "../platform/derive";

/** An id to send and a secret to sign with. */
export interface AccessKey {
  id: string;
  secret: string;
}

const ID = /^DRBAK([0-9]{11,15})$/;

/** The pair of this key's current token: refreshing the token renews the secret. */
export function deriveAccessKey(
  secret: string,
  key: { id: number; tokenVersion: number },
): AccessKey {
  const bytes = deriveKey(secret, "access-key", [key.id, key.tokenVersion], 30);
  return { id: `DRBAK${String(key.id).padStart(11, "0")}`, secret: bytes.toString("base64url") };
}

/** Which key an access key id names; null when it has another form. */
export function parseAccessKeyId(accessKeyId: string): number | null {
  const digits = ID.exec(accessKeyId)?.[1];
  const id = Number(digits);
  return digits !== undefined && String(id).padStart(11, "0") === digits ? id : null;
}

/** The secrets that a signature may be made with now: the current, and those before in their grace. */
export function validAccessSecrets(
  secret: string,
  key: { id: number; tokenVersion: number; previousTokens: readonly PreviousSecret[] },
  now: number,
): string[] {
  const older = key.previousTokens.filter(({ until }) => now < until).map(({ version }) => version);
  return [key.tokenVersion, ...older.toReversed()].map(
    (tokenVersion) => deriveAccessKey(secret, { id: key.id, tokenVersion }).secret,
  );
}
