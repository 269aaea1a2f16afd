/** The clock of a relay node: it never jumps, whatever is done to the clock of the machine. */

/** When this process was started, in milliseconds of the machine's clock that never jumps. */
export const CLOCK_START = readClockStart();

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

/** Reads both clocks until nothing came between: on a busy machine the process may have to wait there. */
function readClockStart(): number {
  let start = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const before = performance.now();
    const now = Number(process.hrtime.bigint()) / 1e6;
    const took = performance.now() - before;
    if (took >= least) continue;
    least = took;
    start = now - before;
  }
  return start;
}
