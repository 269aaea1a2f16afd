/**
 * The clock of the Worker and of all its objects, as tests move it. Alarms ring by the platform's clock,
 * which no test moves. A test that uses this calls `vi.useRealTimers()` when it is over.
 */
import { vi } from "vitest";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Stops the clock at this moment (Unix milliseconds). */
export function stopClock(now = Date.now()): void {
  vi.useFakeTimers({ toFake: ["Date"], now });
}

/**
 * Stops the clock at the next noon in UTC that is an hour ahead of the platform's or more. So an alarm that is set
 * for soon does not ring; and no midnight comes while a test lets minutes pass, at which each organisation gets
 * another journal.
 */
export function stopClockAhead(): void {
  const days = Math.ceil((Date.now() + HOUR_MS) / DAY_MS - 0.5);
  stopClock((days + 0.5) * DAY_MS);
}

/** Moves a clock that was stopped. */
export function advance(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}

/** Stops the clock so many milliseconds later than it is now. */
export function moveClock(milliseconds: number): void {
  stopClock(Date.now() + milliseconds);
}
