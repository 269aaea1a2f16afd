import { countCall, type IsolateLimit } from "./calls-per-minute";
import { type Call, type HttpRefusal, Refused } from "./request-context";

/**
 * Counts a failed attempt of the caller's address, and refuses it: with 429 once there were too many.
 * @throws Refused always
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
