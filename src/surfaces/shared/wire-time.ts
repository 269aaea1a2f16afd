/** How times are said on the surfaces that are ours. */

/** RFC 3339 in UTC with milliseconds, of Unix milliseconds; null stays null. */
export function toRfc3339(time: number): string;
export function toRfc3339(time: number | null): string | null;
export function toRfc3339(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

/** How a time that somebody sent stands to the server's: for people whose clock is wrong. */
export function describeClockDifference(sent: number, now: number): string {
  const seconds = Math.round(Math.abs(sent - now) / 1_000);
  const side = sent > now ? "ahead of" : "behind";
  return `${seconds} seconds ${side} the server's, which is ${toRfc3339(now)}`;
}
