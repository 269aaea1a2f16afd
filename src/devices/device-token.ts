/** The tokens of devices: `drbd_` and 43 characters. */
import { isOpaqueToken, newOpaqueToken } from "../keys/opaque-token";

const PREFIX = "drbd_";

/** A new token, and the digest that is stored in its place. */
export function newDeviceToken(): { token: string; digest: string } {
  return newOpaqueToken(PREFIX);
}

/** Whether a text has the form of such a token. No other text is looked up in D1. */
export function isDeviceToken(text: string): boolean {
  return isOpaqueToken(PREFIX, text);
}
