/** The tokens of relay nodes: `drbn_` and 43 characters. */
import { isOpaqueToken, newOpaqueToken } from "../keys/opaque-token";

const PREFIX = "drbn_";

/** A new token, and the digest that is stored in its place. */
export function newNodeToken(): { token: string; digest: string } {
  return newOpaqueToken(PREFIX);
}

/** Whether a text has the form of such a token. No other text is looked up in D1. */
export function isNodeToken(text: string): boolean {
  return isOpaqueToken(PREFIX, text);
}
