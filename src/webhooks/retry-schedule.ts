/** When a failed attempt is made again: the schedule, its variation, and `Retry-After`. Pure. */
import { LONGEST_DELAY_SECONDS } from "../platform/config";

/** Each delay varies by this part of it, so that what failed together is not sent together again. */
const JITTER = 0.2;

/** The shortest delay for a receiver that is overloaded. */
const OVERLOAD_FLOOR_SECONDS = 60;

/** How an attempt failed: what the time of the next attempt depends on. */
export interface AttemptFailure {
  /** The receiver's HTTP status; null if it gave none. */
  statusCode: number | null;
  timedOut: boolean;
  /** From `parseRetryAfter`; null if the receiver did not ask. */
  retryAfterSeconds: number | null;
}

/**
 * When to try again after a failed attempt: in how many seconds (it may be a fraction, above 0 and at
 * most 86,400), or not at all.
 *
 * @param input.attempts how many were made so far, the one that just failed included, from 1.
 * @param input.delaysSeconds the planned delays; with 7 of them, the 8th attempt is the last.
 * @param input.random a number in [0, 1).
 * @throws RangeError when `attempts` is not a whole number from 1.
 */
export function planNextAttempt(input: {
  attempts: number;
  delaysSeconds: readonly number[];
  outcome: AttemptFailure;
  random: number;
}): { delaySeconds: number } | "exhausted" {
  const { attempts, delaysSeconds, outcome, random } = input;
  if (!Number.isSafeInteger(attempts) || attempts < 1) {
    throw new RangeError(`attempts must be a whole number from 1, not ${attempts}`);
  }
  const planned = delaysSeconds[attempts - 1];
  if (planned === undefined) return "exhausted";

  // The order of the rules:
  // 1. The schedule plans a delay.
  // 2. If the receiver asked for a delay, it gets that, but at least the planned delay and at most twice
  //    that. The delay varies upwards only, so that no attempt comes before the time it asked for.
  //    Otherwise the planned delay varies both ways.
  // 3. After a 429 or a time-out, the delay is at least the floor. The floor varies upwards, since all
  //    that the same overload refused would otherwise return in the same second.
  // 4. No delay is longer than the queue allows.
  const later = 1 + JITTER * random;
  let delaySeconds: number;
  if (outcome.retryAfterSeconds === null) {
    delaySeconds = planned * (1 - JITTER + 2 * JITTER * random);
  } else {
    const asked = Math.max(planned, outcome.retryAfterSeconds);
    delaySeconds = Math.min(asked * later, 2 * planned);
  }
  if (outcome.statusCode === 429 || outcome.timedOut) {
    delaySeconds = Math.max(delaySeconds, OVERLOAD_FLOOR_SECONDS * later);
  }
  return { delaySeconds: Math.min(delaySeconds, LONGEST_DELAY_SECONDS) };
}

/** How long the schedule can take from its first attempt to its last, in milliseconds. */
export function longestScheduleMs(delaysSeconds: readonly number[]): number {
  const longest = (delay: number) =>
    Math.min(Math.max(2 * delay, OVERLOAD_FLOOR_SECONDS * (1 + JITTER)), LONGEST_DELAY_SECONDS);
  return delaysSeconds.reduce((sum, delay) => sum + longest(delay), 0) * 1_000;
}

/**
 * The seconds that a `Retry-After` header asks to wait, at least 0; null if there is none or it is
 * neither of the two forms of RFC 9110 (section 10.2.3): a number of seconds, or a date.
 */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  const value = header?.trim() ?? "";
  if (/^\d+$/.test(value)) return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  const dateMs = parseHttpDate(value, nowMs);
  return dateMs === null ? null : Math.max(0, (dateMs - nowMs) / 1000);
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** The form to send, and the two obsolete ones that a recipient must still accept (section 5.6.7). */
const HTTP_DATES = [
  /^\w{3}, (?<day>\d\d) (?<month>\w{3}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^\w{6,9}, (?<day>\d\d)-(?<month>\w{3})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
];

/** Milliseconds since 1970. Not `Date.parse`, which finds a date in "-5" and in "soon 1". */
function parseHttpDate(value: string, nowMs: number): number | null {
  for (const form of HTTP_DATES) {
    const groups = form.exec(value)?.groups;
    if (!groups) continue;
    const { day = "", month = "", year = "", time = "" } = groups;
    const monthNumber = String(MONTHS.indexOf(month) + 1).padStart(2, "0");
    const dayNumber = day.trim().padStart(2, "0");
    const date = `${fullYear(year, nowMs)}-${monthNumber}-${dayNumber}`;
    const ms = Date.parse(`${date}T${time}Z`);
    // A day that the month does not have rolls over into the next: not a date then.
    if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(date)) return null;
    return ms;
  }
  return null;
}

/** Two digits mean the latest such year that is not more than 50 years ahead (section 5.6.7). */
function fullYear(year: string, nowMs: number): string {
  if (year.length === 4) return year;
  const latest = new Date(nowMs).getUTCFullYear() + 50;
  return String(latest - ((latest - Number(year)) % 100));
}
