import { type Call, clientIp, type HttpRefusal, Refused } from "./context";
import { MinuteLimit } from "./limits";

const failures = new MinuteLimit();

/**
 * Lets an address try to authenticate that has not failed too often.
 * @throws Refused 429
 */
export function requireFewFailures(c: Call, now: number): void {
  const { failedAuthPerMinute } = c.var.config;
  const retryAfterSeconds = failures.retryAfterSeconds(clientIp(c), failedAuthPerMinute, now);
  if (retryAfterSeconds === 0) return;
  throw new Refused({
    status: 429,
    code: "too-many-failures",
    message: "Too many failed authentications from your address. Wait as long as Retry-After says.",
    headers: { "Retry-After": String(retryAfterSeconds) },
  });
}

/** Counts a failed authentication, and refuses it. */
export function fail(c: Call, now: number, refusal: HttpRefusal): never {
  failures.count(clientIp(c), now);
  throw new Refused(refusal);
}
