/** How long a message outlasts an outage of D1 or of a queue. */
import { expect, test } from "vitest";
import { retryLater } from "../../src/dead-letters/dead-letter-store";

/** After how many failures a message comes back in how many seconds. */
function delayOf(attempts: number): number {
  let delay = 0;
  retryLater({
    attempts,
    retry: (options?: QueueRetryOptions) => {
      delay = options?.delaySeconds ?? 0;
    },
  } as Message);
  return delay;
}

test.each([
  [1, 10],
  [2, 20],
  [3, 40],
  [7, 640],
  [8, 900],
  [100, 900],
])("a message that failed %i times comes back in %i seconds", (attempts, seconds) => {
  expect(delayOf(attempts)).toBe(seconds);
});

test("a queue's hundred retries outlast an outage of twenty hours", () => {
  const total = Array.from({ length: 100 }, (_, i) => delayOf(i + 1)).reduce((a, b) => a + b);
  expect(total).toBeGreaterThan(20 * 3_600);
});
