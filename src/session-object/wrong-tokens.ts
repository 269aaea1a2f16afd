/**
 * Decides which wrong token counts for its address and which for the session, and refuses a request after
 * too many of them. Admission asks it. The counting itself is in `relay/wrong-token-lock.ts`: a
 * `WrongTokenLock` for addresses, a `WrongTokenBudget` for the session.
 *
 * - Every token that is refused as wrong counts for its address, each distinct one once: a wrong user
 *   token, a wrong session token, a right token on the other link, a device token that does not work
 *   here. An address that is locked is refused whatever it shows, with a device token too.
 * - Only a wrong user token with the right session token counts for the session. With a wrong session
 *   token, nobody learns anything about a user token. If it counted, anyone who knows the session's id
 *   could use up the session's budget, and so keep new players out.
 * - When the session's budget is used up, its users may still come from where they were connected before,
 *   and a user with a device token from anywhere: that token is too long to be guessed. Each of these
 *   addresses needs a count of its own for that: while a thousand others are locked, it may have none.
 */
import {
  KEPT_MS,
  MAX_FORGOTTEN,
  WrongTokenBudget,
  WrongTokenLock,
} from "../relay/wrong-token-lock";
import { isSameToken } from "../session/relay-tokens";
import type { LoadedSession } from "./loaded-session";
import type { UpgradeRequest } from "./upgrade-request";

/** Too many wrong tokens came. */
export interface LockedRefusal {
  code: "locked";
  /** `address`: from this address; `session`: from all, and no user was ever connected from this one. */
  by: "address" | "session";
  retryAfterSeconds: number;
}

/** The wrong tokens that were shown to one session, in memory, while its object lives. */
export class WrongTokens {
  readonly #lock = new WrongTokenLock();
  readonly #budget = new WrongTokenBudget();
  #awake: ReturnType<typeof setTimeout> | undefined;

  /** The refusal of a request that may not even show its tokens; null: it may. */
  lockedRefusal(
    { origin, deviceToken }: UpgradeRequest,
    { session, hub }: LoadedSession,
    now: number,
  ): LockedRefusal | null {
    const ofAddress = this.#lock.secondsLeft(origin.address, now);
    if (ofAddress > 0) return { code: "locked", by: "address", retryAfterSeconds: ofAddress };
    const ofSession = deviceToken !== null ? 0 : this.#budget.secondsLeft(now);
    if (ofSession === 0) return null;
    const isKnown = session.users.some(({ n }) => hub.hasConnectedFrom(n, origin.address));
    if (isKnown && this.#lock.canCount(origin.address, now)) return null;
    return { code: "locked", by: "session", retryAfterSeconds: ofSession };
  }

  /** Counts a request that showed a wrong token. */
  count(request: UpgradeRequest, { tokens }: LoadedSession, now: number): void {
    const { origin, credential, deviceToken, sessionToken } = request;
    const ofAddress = this.#lock.fail(origin.address, credential, now);
    const knowsSession = deviceToken === null && isSameToken(tokens.session, sessionToken);
    const ofSession = knowsSession ? this.#budget.fail(credential, now) : 0;
    if (Math.max(ofAddress, ofSession) > MAX_FORGOTTEN) this.#stayAwake();
  }

  /**
   * Keeps the counts: an object with a timer does not hibernate. Without sockets it does not hibernate
   * either, and is evicted no sooner than after a minute of silence (2026-11).
   */
  #stayAwake(): void {
    clearTimeout(this.#awake);
    this.#awake = setTimeout(() => undefined, KEPT_MS);
  }
}
