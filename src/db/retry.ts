/** Retries a change that was decided on a row which somebody else changed before it was written. */

/** Others changed the same thing each time before a change could be written. Nothing was stored; answered 503. */
export class ChangedMeanwhile extends Error {}

/**
 * How often a change is tried. Of several changes at the same time, one is stored in each round: so 25 at
 * once are all stored.
 */
export const MAX_TRIES = 25;

/**
 * Decides and writes a change, again and again until nobody else changes the same thing in between.
 * @param what names the thing, for the error
 * @param attempt reads, decides and writes once. It gives `undefined` if somebody else changed the thing
 *   after it was read, so that nothing was stored
 * @throws ChangedMeanwhile after `MAX_TRIES` attempts
 */
export async function retryChange<T>(
  what: string,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new ChangedMeanwhile(`${what} was changed by others ${MAX_TRIES} times in between`);
}
