/** Which older tokens of a key still work after its token is refreshed. Pure. */
import type { PreviousSecret } from "../db/schema/webhooks";

/** The longest grace: a week. */
export const LONGEST_KEY_GRACE_SECONDS = 604_800;

/** Older tokens of one key that can work at the same time. Each one is tried when a signature is checked. */
export const MAX_GRACES = 10;

/**
 * The older tokens that work after a refresh, newest last. Each one keeps the end that it was given. A
 * refresh without grace ends all of them at once: that is for a token that somebody else may know.
 * @param graceMs milliseconds, from 0: how long the token that is current now will still work
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
