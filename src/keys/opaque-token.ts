/** Tokens that say nothing: a prefix, and base64url of 32 random bytes. Only their digests are stored. */
import { randomBytes } from "node:crypto";
import { tokenDigest } from "./key-token";

const RANDOM_PART = /^[A-Za-z0-9_-]{43}$/;

/** A new token, and the digest that is stored in its place. */
export function newOpaqueToken(prefix: string): { token: string; digest: string } {
  const token = `${prefix}${randomBytes(32).toString("base64url")}`;
  return { token, digest: tokenDigest(token) };
}

/** Whether a text has the form of a token with this prefix. No other text is looked up in D1. */
export function isOpaqueToken(prefix: string, text: string): boolean {
  return text.startsWith(prefix) && RANDOM_PART.test(text.slice(prefix.length));
}
