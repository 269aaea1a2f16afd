/** Waits for a time, and puts a time limit on other work. */

/** The time was over before the work. */
export class TimedOut extends Error {}

/** Waits this long. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Waits for `work`, but not longer than this.
 * @returns what `work` resolves to
 * @throws TimedOut when the time is over first. The work is not stopped: only nobody waits for it any more
 */
export async function withTimeout<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimedOut("no answer in time")), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
