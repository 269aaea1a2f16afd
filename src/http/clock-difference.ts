/** How wrong a caller's clock is, in words. Pure. */

/** How far a time that a caller sent is from the server's, for people whose clock is wrong. Unix milliseconds. */
export function describeClockDifference(sent: number, now: number): string {
  const seconds = Math.round(Math.abs(sent - now) / 1_000);
  const side = sent > now ? "ahead of" : "behind";
  return `${seconds} seconds ${side} the server's, which is ${new Date(now).toISOString()}`;
}
