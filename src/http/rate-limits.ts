/**
 * Rate limits of HTTP: one table of all of them, and the functions that apply it. The guard, failed
 * attempts, pairing, joins and sign-ins call them.
 *
 * Other limits stand beside what they limit: how many pairing requests may be pending in
 * `pairing/pairing-request.ts`, wrong tokens of a relay session in `relay/wrong-token-lock.ts`, what a
 * participant may send in `relay/budget.ts`.
 */

import type { Config } from "../platform/config";
import { addressBucket } from "../platform/ip-address";
import { type Call, type Caller, clientIp, Refused } from "./request-context";
import { WindowCounts } from "./window-counts";

/** How often a device may poll its pairing request. */
export const POLL_SECONDS = 5;
/** A poll that comes early by less than this is accepted: networks deliver with varying delay. */
const POLL_TOLERANCE_SECONDS = 0.5;

interface Limit {
  /** What is counted, in the plural. */
  what: string;
  /** For what there is one count each. IPv6 addresses are counted by /64: see `addressBucket`. */
  per: "address" | "API key" | "organisation" | "pairing request" | "relay node";
  /** The most in a window of `seconds`; 0: no limit. */
  most: number | ((config: Config) => number);
  seconds: number;
  /** Of the answer 429. */
  code: string;
  /**
   * The binding through which Cloudflare counts, in each of its locations, with the numbers of
   * wrangler.toml. Without a binding each isolate counts in its memory. That costs no write and no call.
   * It is exact enough to stop guessing and floods, and not exact enough for bills.
   */
  binding?: "KEY_LIMIT" | "ORGANISATION_LIMIT";
}

/**
 * A limit against guessing counts failures only. An address that has reached it is refused even with a
 * right credential if that kind of credential can be guessed:
 *
 * - cannot be guessed, so a right one is still accepted: an API key (178 random bits), the root token (32
 *   characters or more, drawn by `deploy`), a session token of an operator, a sign-in code (its proof has 128
 *   bits), an assertion of Cloudflare Access, a signature of an access key, of a connector or of a device, a
 *   poll token, a device token (160 bits or more each);
 * - could be guessed, so it is refused: a join code (it is short, and the code of any open session will
 *   do), a setup code (74 bits for ten minutes are hard to find, but people read it aloud and type it: an
 *   attacker may know a part of it).
 */
export const LIMITS = {
  /** Counts failures. The number is the var FAILED_AUTH_PER_MINUTE. */
  failedAuthentications: {
    what: "failed authentications",
    per: "address",
    most: (config: Config) => config.failedAuthPerMinute,
    seconds: 60,
    code: "too-many-failures",
  },
  /** Counts failures. */
  wrongJoinCodes: {
    what: "wrong join codes",
    per: "address",
    most: 30,
    seconds: 60,
    code: "too-many-joins",
  },
  /** Counts calls that are not repeats: anybody may have the key, and each makes a session. */
  hostsOfAddress: {
    what: "sessions hosted",
    per: "address",
    most: 10,
    seconds: 60,
    code: "too-many-hosts",
  },
  /** As above, of all who have this key. The number is the var HOSTED_SESSIONS_PER_MINUTE. */
  hostsOfKey: {
    what: "sessions hosted",
    per: "API key",
    most: (config: Config) => config.hostedSessionsPerMinute,
    seconds: 60,
    code: "too-many-hosts",
  },
  /** Counts all challenges and requests: the caller is not known yet, and each costs at least one read. */
  pairingCalls: {
    what: "pairing calls",
    per: "address",
    most: 120,
    seconds: 60,
    code: "too-many-asks",
  },
  /** Counts polls with the right poll token. A wrong one counts as a failed authentication. */
  polls: {
    what: "polls",
    per: "pairing request",
    most: 1,
    seconds: POLL_SECONDS - POLL_TOLERANCE_SECONDS,
    code: "slow_down",
  },
  /**
   * Counts sign-ins that succeed: each can be signed out, and D1 then keeps a row until it would have
   * ended.
   */
  signIns: {
    what: "sign-ins",
    per: "API key",
    most: 60,
    seconds: 60,
    code: "too-many-sign-ins",
  },
  /** Counts the links of a token that works. A node that dials again and again comes to about 40. */
  relayNodeLinks: {
    what: "links",
    per: "relay node",
    most: 60,
    seconds: 60,
    code: "too-many-links",
  },
  /** Counts the trunks of a token that works. After a deploy, all trunks of a node come back at once. */
  relayNodeTrunks: {
    what: "trunks",
    per: "relay node",
    most: 6_000,
    seconds: 60,
    code: "too-many-links",
  },
  /** Counts all requests of a key that works. */
  keyRequests: {
    what: "requests",
    per: "API key",
    most: 3_000,
    seconds: 10,
    code: "too-many-requests",
    binding: "KEY_LIMIT",
  },
  /** Counts the requests of all keys of an organisation together, since a key can make more keys. */
  organisationRequests: {
    what: "requests",
    per: "organisation",
    most: 30_000,
    seconds: 10,
    code: "too-many-requests",
    binding: "ORGANISATION_LIMIT",
  },
} satisfies Record<string, Limit>;

/** The limits that each isolate counts in its memory. */
export type IsolateLimit = Exclude<keyof typeof LIMITS, "keyRequests" | "organisationRequests">;

const counts = new Map<IsolateLimit, WindowCounts>();

/**
 * Refuses a call whose subject has reached the limit. Counts nothing.
 * @param subject what is counted; if left out, the caller's address
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

/**
 * As `requireBelowLimit`, and counts the call if it is not refused.
 * @throws Refused 429
 */
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
 * Counts a request of a caller, for the key and for the organisation.
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
  return typeof most === "number" ? most : most(c.get("config"));
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
  "relay node": "of this relay node",
} as const;

function tooMany({ what, per, code }: Limit, seconds: number): Refused {
  return new Refused({
    status: 429,
    code,
    message: `Too many ${what} ${WHOSE[per]}. Wait as long as Retry-After says.`,
    headers: { "Retry-After": String(seconds) },
  });
}
