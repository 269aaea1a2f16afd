/**
 * Every limit on how often something may be called or may fail over HTTP: one table, and what applies it.
 *
 * The bounds of what is stored, and of a relay's sockets, stand with what they bound: `MOST_LIVE` in
 * `pairing/request.ts`, `relay/wrong-token-lock.ts`, `relay/budget.ts`.
 */

import type { Config } from "../platform/config";
import { addressBucket } from "../platform/ip-address";
import { type Call, type Caller, clientIp, Refused } from "./request-context";
import { WindowCounts } from "./window-counts";

/** How often a device may poll its pairing request. */
export const POLL_SECONDS = 5;
/** A poll that is early by so little is in time: networks jitter. */
const POLL_TOLERANCE_SECONDS = 0.5;

interface Limit {
  /** What is counted, in the plural. */
  what: string;
  /** What has a count of its own. An IPv6 client is its /64: see `addressBucket`. */
  per: "address" | "API key" | "organisation" | "pairing request";
  /** So many in a window of `seconds`; 0 is no limit. */
  most: number | ((config: Config) => number);
  seconds: number;
  /** Of the answer 429. */
  code: string;
  /**
   * Counted by Cloudflare, once in each of its places, with the numbers of this binding in wrangler.toml.
   * All others are counted in each isolate: that costs no write and no call, and it stops guessing and
   * floods, though it does not bill.
   */
  binding?: "KEY_LIMIT" | "ORGANISATION_LIMIT";
}

/**
 * Failures count, and not what succeeds, where a limit is there to stop guessing. An address at such a
 * limit is refused a right credential too, but only where somebody could find that by guessing:
 *
 * - it passes: an API key (178 random bits), the root token (32 characters or more, drawn by `deploy`),
 *   a session token of an operator, an assertion of Cloudflare Access, a signature of an access key, of a
 *   connector or of a device, a poll token, a device token (160 bits or more each);
 * - it is refused: a join code (a short one, of any of the sessions that are live), a setup code (74 bits
 *   for ten minutes are hard to find, but it is read aloud and typed: a part of it may be known).
 */
export const LIMITS = {
  /** Failures. The number is the var FAILED_AUTH_PER_MINUTE. */
  failedAuthentications: {
    what: "failed authentications",
    per: "address",
    most: (config: Config) => config.failedAuthPerMinute,
    seconds: 60,
    code: "too-many-failures",
  },
  /** Failures. */
  wrongJoinCodes: {
    what: "wrong join codes",
    per: "address",
    most: 30,
    seconds: 60,
    code: "too-many-joins",
  },
  /** All challenges and requests: each costs a read or more, though nobody is known. */
  pairingCalls: {
    what: "pairing calls",
    per: "address",
    most: 120,
    seconds: 60,
    code: "too-many-asks",
  },
  /** All polls with the right poll token; those with a wrong one are failed authentications. */
  polls: {
    what: "polls",
    per: "pairing request",
    most: 1,
    seconds: POLL_SECONDS - POLL_TOLERANCE_SECONDS,
    code: "slow_down",
  },
  /** All that succeed: each may be signed out, which is then remembered until it would have ended. */
  signIns: {
    what: "sign-ins",
    per: "API key",
    most: 60,
    seconds: 60,
    code: "too-many-sign-ins",
  },
  /** All of a key that works. */
  keyRequests: {
    what: "requests",
    per: "API key",
    most: 3_000,
    seconds: 10,
    code: "too-many-requests",
    binding: "KEY_LIMIT",
  },
  /** All of an organisation's keys together, since keys can make keys. */
  organisationRequests: {
    what: "requests",
    per: "organisation",
    most: 30_000,
    seconds: 10,
    code: "too-many-requests",
    binding: "ORGANISATION_LIMIT",
  },
} satisfies Record<string, Limit>;

/** The limits that are counted in this isolate. */
export type IsolateLimit = Exclude<keyof typeof LIMITS, "keyRequests" | "organisationRequests">;

const counts = new Map<IsolateLimit, WindowCounts>();

/**
 * Lets a call through that its limit has room for, and counts nothing.
 * @param subject whose count it is; the caller's address if left out
 * @throws Refused 429
 */
export function requireBelowLimit(
  c: Call,
  name: IsolateLimit,
  now: number,
  subject = addressBucket(clientIp(c)),
): void {
  const most = mostOf(c, name);
  if (most === 0) return;
  const seconds = countsOf(name).secondsLeft(subject, most, now);
  if (seconds > 0) throw tooMany(LIMITS[name], seconds);
}

/** Lets a call through as `requireBelowLimit` does, and counts it. */
export function countCall(
  c: Call,
  name: IsolateLimit,
  now: number,
  subject = addressBucket(clientIp(c)),
): void {
  requireBelowLimit(c, name, now, subject);
  const most = mostOf(c, name);
  if (most > 0) countsOf(name).count(subject, most, now);
}

/**
 * Counts a request of a caller with the key and the organisation.
 * @throws Refused 429
 */
export async function countRequest(c: Call, caller: Caller): Promise<void> {
  const { KEY_LIMIT, ORGANISATION_LIMIT } = c.env;
  const ofKey = await KEY_LIMIT.limit({ key: String(caller.keyId) });
  if (!ofKey.success) throw tooMany(LIMITS.keyRequests, LIMITS.keyRequests.seconds);
  const ofAll = await ORGANISATION_LIMIT.limit({ key: String(caller.organisationId) });
  if (!ofAll.success) {
    throw tooMany(LIMITS.organisationRequests, LIMITS.organisationRequests.seconds);
  }
}

function mostOf(c: Call, name: IsolateLimit): number {
  const { most } = LIMITS[name];
  return typeof most === "number" ? most : most(c.var.config);
}

function countsOf(name: IsolateLimit): WindowCounts {
  const known = counts.get(name) ?? new WindowCounts(LIMITS[name].seconds);
  counts.set(name, known);
  return known;
}

const WHOSE = {
  address: "from your address",
  "API key": "with this API key",
  organisation: "in this organisation",
  "pairing request": "of this pairing request",
} as const;

function tooMany({ what, per, code }: Limit, seconds: number): Refused {
  return new Refused({
    status: 429,
    code,
    message: `Too many ${what} ${WHOSE[per]}. Wait as long as Retry-After says.`,
    headers: { "Retry-After": String(seconds) },
  });
}
