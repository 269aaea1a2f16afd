/** When a node dials Drawbridge again: so that the next dial begins within five seconds after the last one. Pure. */

/** How long a dial may take until Drawbridge has welcomed the node, in milliseconds. */
export const DIAL_MS = 3_500;
/** How long to wait after a dial has failed, in milliseconds, at most: after one failure and after many. */
const FIRST_WAIT_MS = 100;
const LAST_WAIT_MS = 1_500;

/**
 * How long to wait before dialling again, in milliseconds.
 * @param failures how many dials have failed since the node was last welcomed
 * @param random from 0 to 1: up to half of the wait less, so that the nodes of one Drawbridge do not all
 *   come back at once
 */
export function waitBeforeDial(failures: number, random: number): number {
  return Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (1 - random / 2);
}
