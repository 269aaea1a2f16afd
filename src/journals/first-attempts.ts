/**
 * Puts the first attempts of a journal's deliveries on a queue. What an organisation has to send in a burst
 * goes to a second queue: on the first one it would stand before the deliveries of others, and delay them.
 */
import type { DeliveryKey } from "../events/delivery-record";
import { dropOldest } from "../platform/bounded-memory";
import { newBudget, spend } from "../relay/budget";
import { SEND_AT_ONCE, sendFirstAttempts } from "../webhooks/delivery-messages";

/**
 * How many first attempts of a journal go to the first queue: 100 at once, and then 5 a second. The others go to
 * the second one. (The budget counts bytes too, which do not matter here.)
 */
const ALLOWANCE = { messagesPerSecond: 5, burstMessages: 100, bytesPerSecond: 0, burstBytes: 0 };
/** How many deliveries are remembered: as many as one call can make, of 200 events for 100 endpoints. */
const MAX_QUEUED = 20_000;

/** The first attempts of one instance of a journal. */
export class FirstAttempts {
  readonly #env: Pick<Env, "DELIVERIES" | "BULK_DELIVERIES">;
  readonly #budget = newBudget(ALLOWANCE, Date.now());
  /** Deliveries whose first attempt this instance has put on a queue: it does not do so again. */
  readonly #queued = new Map<string, true>();

  constructor(env: Pick<Env, "DELIVERIES" | "BULK_DELIVERIES">) {
    this.#env = env;
  }

  /**
   * Puts first attempts on a queue, except those that this instance has put there before.
   * @throws when a queue does not take them; some of them may be on it all the same
   */
  async send(deliveries: readonly DeliveryKey[]): Promise<void> {
    const unsent = deliveries.filter(({ id }) => !this.#queued.has(id));
    const now = Date.now();
    const { soon = [], bulk = [] } = Object.groupBy(unsent, () =>
      spend(this.#budget, ALLOWANCE, 0, now) ? "soon" : "bulk",
    );
    await this.#sendAll(this.#env.DELIVERIES, soon);
    await this.#sendAll(this.#env.BULK_DELIVERIES, bulk);
  }

  async #sendAll(queue: Queue, deliveries: readonly DeliveryKey[]): Promise<void> {
    for (let i = 0; i < deliveries.length; i += SEND_AT_ONCE) {
      const some = deliveries.slice(i, i + SEND_AT_ONCE);
      await sendFirstAttempts(queue, some);
      // After each call, and not at the end: if the next one fails, or the caller stops waiting, the journal is
      // told of these events again, and must not send all of them again.
      for (const { id } of some) {
        this.#queued.set(id, true);
        dropOldest(this.#queued, MAX_QUEUED);
      }
    }
  }

  /** Forgets which first attempts were put on a queue, because the journal was dropped. */
  forget(): void {
    this.#queued.clear();
  }
}
