/**
 * Counts the messages of a connection in both directions, so that after a cut it can be said how many were
 * lost on the way. Pure.
 *
 * The relay says with each `ready` how many messages it has taken from this user, and how many there were for
 * this user. Against our own counts that gives the losses. The relay may forget a few seconds of its counts
 * when it is idle. So what it has answered for (a `pong` comes after all that was sent before its `ping`)
 * never counts as lost.
 */

/** The relay's counts of a user's messages since the session began. */
export interface RelayCounts {
  /** How many the relay has taken from this user. */
  received: number;
  /** How many were for this user, whether or not they could be sent. */
  sent: number;
}

export class Losses {
  #sent = 0;
  #atPing = 0;
  #answered = 0;
  #came = 0;
  /** The relay's counts at the last `ready`; null: it gave none. Undefined: there was no `ready` yet. */
  #before: RelayCounts | null | undefined;

  /** A message was sent. */
  sent(): void {
    this.#sent += 1;
  }

  /** A message came. */
  came(): void {
    this.#came += 1;
  }

  /** A ping was sent. */
  pinged(): void {
    this.#atPing = this.#sent;
  }

  /** The ping was answered: all that was sent before it has arrived. */
  ponged(): void {
    this.#answered = this.#atPing;
  }

  /**
   * The connection is there, for the first time or again.
   * @param counts null: the relay gives none, as always when this user connects for the first time
   * @returns how many messages were lost since the last time: of ours, and of those for us
   */
  ready(counts: RelayCounts | null): { dropped: number; missed: number } {
    const before = this.#before;
    const unanswered = this.#sent - this.#answered;
    const taken = counts && before ? counts.received - before.received : this.#sent;
    const addressed = counts && before ? counts.sent - before.sent : this.#came;
    const lost = {
      dropped: Math.min(Math.max(this.#sent - taken, 0), unanswered),
      missed: Math.max(addressed - this.#came, 0),
    };
    this.#before = counts ?? (before === undefined ? { received: 0, sent: 0 } : null);
    this.#sent = this.#atPing = this.#answered = this.#came = 0;
    return lost;
  }
}
