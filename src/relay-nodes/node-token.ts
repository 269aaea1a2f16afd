/** The form of a relay node's token: `drbn_` and base64url of 32 random bytes. Only its digest is stored. */
import { randomBytes } from "node:crypto";
import { tokenDigest } from "../keys/key-token";

const PREFIX = "drbn_";
const SHAPE = /^drbn_[A-Za-z0-9_-]{43}$/;

/** A new token, and the digest that is stored in its place. */
export function newNodeToken(): { token: string; digest: string } {
  const token = `${PREFIX}${randomBytes(32).toString("base64url")}`;
  return { token, digest: tokenDigest(token) };
}

/** Whether a text has the form of a node's token. No other text is looked up in D1. */
export function isNodeToken(text: string): boolean {
  return SHAPE.test(text);
}
