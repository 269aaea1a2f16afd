/** The clock of a relay node: it never jumps, whatever is done to the clock of the machine. */

/** When this process was started, in milliseconds of the machine's clock that never jumps. */
export const CLOCK_START = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** How far this process started after the one whose clock it uses. */
let startedLater = 0;

/** From now on this process tells the time of another one on this machine, which has this `CLOCK_START`. */
export function useClockOf(clockStart: number): void {
  startedLater = CLOCK_START - clockStart;
}

/** Whole milliseconds since the program was started: V8 keeps those without memory of their own. */
export function monotonicNow(): number {
  return Math.floor(performance.now() + startedLater) + 1;
}
