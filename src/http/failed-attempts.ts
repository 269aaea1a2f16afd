/** What happens when a credential is wrong. Every place that checks one calls this. */
import { countCall, type IsolateLimit } from "./rate-limits";
import { type Call, type HttpRefusal, Refused } from "./request-context";

/**
 * Counts a failed attempt for the caller's address, and refuses the request.
 * @throws Refused always: with `refusal`, or with 429 when the address has reached the limit
 */
export function refuseAndCount(
  c: Call,
  now: number,
  refusal: HttpRefusal,
  limit: IsolateLimit = "failedAuthentications",
): never {
  countCall(c, limit, now);
  throw new Refused(refusal);
}
