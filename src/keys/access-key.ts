/** The access key of an API key, with which clients sign requests. It is derived, and never stored. */

import type { PreviousSecret } from "../db/schema/webhooks";
import { deriveKey } from "../platform/derive";

/** The id that a client sends, and the secret that it signs with. */
export interface AccessKey {
  id: string;
  secret: string;
}

const ID = /^DRBAK([0-9]{11,15})$/;

/** The access key of this version of the key's token. A refresh of the token changes the secret. */
export function deriveAccessKey(
  secret: string,
  key: { id: number; tokenVersion: number },
): AccessKey {
  const bytes = deriveKey(secret, "access-key", [key.id, key.tokenVersion], 30);
  return { id: `DRBAK${String(key.id).padStart(11, "0")}`, secret: bytes.toString("base64url") };
}

/** The id of the API key that an access key id names. Null: the text has another form. */
export function parseAccessKeyId(accessKeyId: string): number | null {
  const digits = ID.exec(accessKeyId)?.[1];
  const id = Number(digits);
  return digits !== undefined && String(id).padStart(11, "0") === digits ? id : null;
}

/** The secrets whose signatures are accepted now: the current one first, then older ones in their grace, newest first. */
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
