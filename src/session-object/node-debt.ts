/**
 * What a session owes its relay node: to be told of the session's state, when that could not be done at
 * once. The debt is stored in the journal, so that an eviction does not lose it, and the object's alarm
 * tries again (`NodeLink.tellIfOwed`). A session whose node is told at once stores nothing for it.
 */
import { carriedUntil } from "../session/relay-node";
import { isFinal } from "../session/session";
import { nodeBackoffMs } from "../session/timing";
import type { SessionClock } from "./clock";
import type { LoadedSession } from "./loaded-session";

interface DebtContext {
  clock: SessionClock;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

export class NodeDebt {
  readonly #object: DebtContext;

  constructor(object: DebtContext) {
    this.#object = object;
  }

  /**
   * Whether the node may not have been told: that has failed, or the session has ended and this object died
   * before it had announced that.
   */
  isOwed({ journal, session, outbox }: LoadedSession): boolean {
    return journal.retry?.node === true || (isFinal(session) && !outbox.isDrained(session));
  }

  /** The node could not be told: plans the next try. After `carriedUntil` there is nothing to tell any more. */
  owe(loaded: LoadedSession, now: number): void {
    if (this.#object.current() !== loaded) return;
    if (now >= carriedUntil(loaded.session)) {
      this.settle(loaded);
      return;
    }
    const { clock } = this.#object;
    const before = loaded.journal.retry;
    // A try that a command made in between does not put off the planned one.
    if (before?.node && now < before.at) return;
    const attempt = (before?.attempt ?? -1) + 1;
    clock.retryAt(loaded, now + nodeBackoffMs(attempt), attempt, { node: true });
  }

  /** The node has been told, or is gone. */
  settle(loaded: LoadedSession): void {
    const { retry } = loaded.journal;
    if (!retry?.node || this.#object.current() !== loaded) return;
    const isAnnounced = loaded.outbox.isDrained(loaded.session);
    this.#object.clock.storeRetry(loaded, isAnnounced ? null : { ...retry, node: false });
  }
}
