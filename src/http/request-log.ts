/**
 * Which requests have a line in the log, and what it says. A line costs twice as many dollars as a request, and was
 * 28 % of the CPU of an empty one (decision 31). Called by `answer.ts`.
 */
import { readConfig } from "../platform/config";
import { log } from "../platform/log";
import type { Call } from "./request-context";
import { WindowCounts } from "./window-counts";

/** From so many milliseconds on, a request is slow. */
export const SLOW_MS = 1_000;
/** Of all other requests, one in so many has a line. */
export const SAMPLE = 100;
/**
 * So many refusals of credentials and limits have a line, in a minute and an isolate. Anybody can make us
 * refuse: without a bound, a flood of wrong keys would be a flood of lines, which somebody pays for.
 */
export const LOGGED_REFUSALS = 60;

/** The answers that refuse who calls, or how often. Whoever looks after a deployment is asked about them. */
const REFUSED: readonly number[] = [401, 403, 429];

const refusals = new WindowCounts(60);

/** What a line says of a request, beside what its `Call` knows. */
export interface AnsweredRequest {
  /** The path template: the URL may hold the tokens of a websocket. Null: there is nothing at this path. */
  route: string | null;
  status: number;
  /** Unix milliseconds. */
  startedAt: number;
}

/**
 * Writes the line of a request that was answered, if it has one. All have, where LOG_REQUESTS is `all`, and
 * where the settings cannot be read. Its `sample` says for how many requests it stands.
 * @param now Unix milliseconds
 */
export function logRequest(c: Call, request: AnsweredRequest, now: number): void {
  const sample = logsAll(c) ? 1 : sampleOf(request, now);
  if (sample === 0) return;
  const { route, status, startedAt } = request;
  log("request", {
    request_id: c.get("requestId"),
    organisation: c.get("caller")?.organisationId ?? null,
    surface: c.get("surface").name,
    method: c.req.method,
    route,
    status,
    duration_ms: now - startedAt,
    sample,
  });
}

/** Read anew, since what is answered without the settings, such as a preflight, has not read them. */
function logsAll(c: Call): boolean {
  try {
    return readConfig(c.env).logRequests === "all";
  } catch {
    return true;
  }
}

/**
 * For how many requests the line of this one stands; 0: it has none. An answer that says what is wrong with
 * the request itself (400, 404, 409, …) is one of the many: its caller has read what to do.
 */
function sampleOf({ status, startedAt }: AnsweredRequest, now: number): number {
  if (status >= 500 || now - startedAt >= SLOW_MS) return 1;
  if (REFUSED.includes(status) && isWithinBound(now)) return 1;
  return Math.random() * SAMPLE < 1 ? SAMPLE : 0;
}

function isWithinBound(now: number): boolean {
  if (refusals.secondsLeft("refusals", LOGGED_REFUSALS, now) > 0) return false;
  refusals.count("refusals", LOGGED_REFUSALS, now);
  return true;
}
