/** The grace of a refresh: how long the tokens before the current one still work. Pure. */
import type { PreviousSecret } from "../db/schema/webhooks";

/** A key can have so many older tokens that work: each one is tried with every signature. */
export const MOST_GRACES = 10;

/**
 * The older tokens that work after a refresh, newest last. Each one works until the end that it was
 * promised. A refresh without grace ends all of them at once: whoever has learned one is out.
 * @param graceMs milliseconds, from 0, for the token that is current until now
 * @param now Unix milliseconds
 */
export function tokensAfterRefresh(
  key: { tokenVersion: number; previousTokens: readonly PreviousSecret[] },
  graceMs: number,
  now: number,
): PreviousSecret[] {
  if (graceMs === 0) return [];
  const stillWorking = key.previousTokens.filter(({ until }) => until > now);
  return [...stillWorking, { version: key.tokenVersion, until: now + graceMs }];
}
