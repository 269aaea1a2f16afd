/** Changes that are written over the version that they were decided on. */

/** A change was made from a state that others kept changing; nothing of it was stored. */
export class ChangedMeanwhile extends Error {}

/**
 * How often a change is decided and written, before it is given up. Of changes made side by side one
 * is stored in each round: so 25 at once are all made.
 */
export const MOST_TRIES = 25;

/**
 * Decides and writes a change until nobody else changes the same thing in between.
 * @param attempt reads, decides and writes once; `undefined`: others came between, nothing was stored
 * @throws ChangedMeanwhile after `MOST_TRIES` attempts: the caller is asked to come back (503)
 */
export async function retryChange<T>(
  what: string,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new ChangedMeanwhile(`${what} was changed by others ${MOST_TRIES} times in between`);
}
