/** The clock of a relay node: it never jumps, whatever is done to the clock of the machine. */

/** Whole milliseconds since the program was started: V8 keeps those without memory of their own. */
export function monotonicNow(): number {
  return Math.floor(performance.now()) + 1;
}
