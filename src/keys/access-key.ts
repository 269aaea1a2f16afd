/** The access key pair of an API key, for clients that sign their requests. Derived, never stored. */
import { hkdfSync } from "node:crypto";

/** An id to send and a secret to sign with. */
export interface AccessKey {
  id: string;
  secret: string;
}

/** The pair of this key's current token: refreshing the token renews the secret. */
export function accessKey(secret: string, key: { id: number; tokenVersion: number }): AccessKey {
  const info = `access-key/${key.id}/${key.tokenVersion}`;
  const bytes = Buffer.from(hkdfSync("sha256", secret, "drawbridge", info, 30));
  return { id: `DRBAK${String(key.id).padStart(11, "0")}`, secret: bytes.toString("base64url") };
}
