/**
 * The wrong user tokens that came to a session with its right session token, so that nobody can guess a
 * user's token of 31 bits. Sender addresses of UDP can be forged, so an address has a count of its own only
 * while a user of the session is heard there: all others have the session's budget together. Times are
 * milliseconds of a clock that never jumps. Pure.
 */
import { WrongTokenBudget, WrongTokenLock } from "../src/relay/wrong-token-lock";
import { senderBucket } from "./sender-bucket";

/** From so many addresses on, those are forgotten from which nobody is heard. A session has 64 users at most. */
const MANY_ADDRESSES = 128;

/** The session. */
interface Session {
  /** Whether a user was last heard from this address, which is a bucket. */
  hasHeardFrom(bucket: string): boolean;
}

export class WrongTokens {
  readonly #session: Session;
  readonly #budget: WrongTokenBudget;
  readonly #lock: WrongTokenLock;

  /** `share`: the part of the node's bounds that this process has. */
  constructor(session: Session, share: number) {
    this.#session = session;
    this.#budget = new WrongTokenBudget(share);
    this.#lock = new WrongTokenLock(share);
  }

  /** Counts a wrong user token that came from this address. */
  count(userToken: number, address: string, now: number): void {
    const token = String(userToken);
    this.#budget.fail(token, now);
    const bucket = senderBucket(address);
    if (!this.#session.hasHeardFrom(bucket)) return;
    // An address that is locked learns nothing. Counting what it sends would keep every token of a flood.
    if (this.#lock.secondsLeft(bucket, now) > 0) return;
    // A user can be heard from very many addresses, one after the other. Where nobody is heard any more, the
    // budget counts; and while that is used up, nobody is heard from a further address.
    if (this.#lock.size >= MANY_ADDRESSES) {
      this.#lock.forgetUnless((known) => this.#session.hasHeardFrom(known));
    }
    this.#lock.fail(bucket, token, now);
  }

  /**
   * Whether right tokens are refused that come from this address: too many wrong ones came, from there if a
   * user is heard there, or else from all addresses together.
   */
  refuses(address: string, now: number): boolean {
    const bucket = senderBucket(address);
    if (this.#lock.secondsLeft(bucket, now) > 0) return true;
    return !this.#session.hasHeardFrom(bucket) && this.#budget.secondsLeft(now) > 0;
  }
}
