/** The form of a device token: `drbd_` and base64url of 32 random bytes. Stored is its digest. */
import { randomBytes } from "node:crypto";
import { tokenDigest } from "../keys/key-token";

const PREFIX = "drbd_";
const SHAPE = /^drbd_[A-Za-z0-9_-]{43}$/;

/** A new token, and what is stored of it. */
export function newDeviceToken(): { token: string; digest: string } {
  const token = `${PREFIX}${randomBytes(32).toString("base64url")}`;
  return { token, digest: tokenDigest(token) };
}

/** Whether this can be a device token at all. */
export function isDeviceToken(text: string): boolean {
  return SHAPE.test(text);
}
