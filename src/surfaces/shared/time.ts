/** How times are said on the surfaces that are ours. */

/** RFC 3339 in UTC with milliseconds, of Unix milliseconds; null stays null. */
export function toTime(time: number): string;
export function toTime(time: number | null): string | null;
export function toTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
