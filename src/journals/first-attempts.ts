/**
 * Puts the first attempts of a journal's deliveries on their queue. What an organisation has to send in a
 * burst goes to a second queue, so that it does not stand before the deliveries of others.
 */
import type { DeliveryKey } from "../events/delivery-record";
import { dropOldest } from "../platform/bounded-memory";
import { newBudget, spend } from "../relay/budget";
import { SEND_AT_ONCE, sendFirstAttempts } from "../webhooks/delivery-messages";

/** How many first attempts of a journal go to the first queue. Those above go to the queue of bursts. */
const ALLOWANCE = { messagesPerSecond: 5, burstMessages: 100, bytesPerSecond: 0, burstBytes: 0 };
/** How many deliveries are remembered: those of 200 events, which is a call's most, for 100 endpoints. */
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
   * Puts those on a queue that are not there yet.
   * @throws when a queue does not take them; some may be there then
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
      // After each call: whoever has waited too long and asks again does not have all of them sent again.
      for (const { id } of some) {
        this.#queued.set(id, true);
        dropOldest(this.#queued, MAX_QUEUED);
      }
    }
  }

  /** Forgets what is on the queues: the journal was dropped. */
  forget(): void {
    this.#queued.clear();
  }
}
