/**
 * Poll tokens: what a device shows while it waits for a decision. They are derived from the deployment's
 * secret, so nothing is stored, and a request always has the same poll token.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { deriveKey } from "../platform/derive";

/** The token with which a device polls its request. */
export function pollToken(secret: string, applicationId: string, requestId: string): string {
  const key = deriveKey(secret, "poll", [applicationId, requestId]);
  return `drbp_${createHmac("sha256", key).digest("base64url")}`;
}

/** Whether a text is the poll token of this request. */
export function isPollToken(
  secret: string,
  applicationId: string,
  requestId: string,
  text: string,
): boolean {
  const right = Buffer.from(pollToken(secret, applicationId, requestId));
  const given = Buffer.from(text);
  return given.length === right.length && timingSafeEqual(given, right);
}
