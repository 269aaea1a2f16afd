/** The budgets of a session's users, and what a message and a connection cost them. The hub asks it. */
import { dropOldest } from "../platform/bounded-memory";
import {
  type Budget,
  type BudgetLimits,
  charge,
  newBudget,
  spend,
  spendConnection,
} from "./budget";

/** The least that a connection costs, in messages. It costs more if the relay has to send more for it. */
const CONNECTION_MESSAGES = 50;
/** Budgets remembered; above it the oldest go. A session has at most 64 users at a time (`MAX_SESSION_USERS`). */
const MAX_BUDGETS = 1_000;

/**
 * One budget for each user, not for each socket: a user who connects again gets no new burst. Budgets are
 * in memory, and hibernation forgets them. Hibernation comes only when everyone was silent for ten seconds,
 * and in that time a budget fills by ten seconds of its rate: by default, that is more than the burst.
 *
 * `Payer` is what has a budget. In the hub it is a user, by ordinal. In `session-object/admission.ts` it is
 * a device token, before it is known which user shows it.
 */
export class UserBudgets<Payer = number> {
  readonly #limits: BudgetLimits;
  readonly #budgets = new Map<Payer, Budget>();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Takes a message of `size` bytes; false when the budget does not cover it. */
  spend(payer: Payer, size: number, now: number): boolean {
    return spend(this.#of(payer, now), this.#limits, size, now);
  }

  /** Takes a message that was received already, whether or not the budget covers it. */
  charge(payer: Payer, size: number, now: number): void {
    charge(this.#of(payer, now), this.#limits, size, now);
  }

  /**
   * Takes a connection that makes the relay send so many messages to others and to the user.
   * @returns 0, or in how many seconds the budget will cover it
   */
  spendConnection(payer: Payer, messages: number, now: number): number {
    const cost = Math.max(CONNECTION_MESSAGES, messages);
    return spendConnection(this.#of(payer, now), this.#limits, cost, now);
  }

  #of(payer: Payer, now: number): Budget {
    const known = this.#budgets.get(payer);
    if (known) return known;
    const budget = newBudget(this.#limits, now);
    this.#budgets.set(payer, budget);
    dropOldest(this.#budgets, MAX_BUDGETS);
    return budget;
  }
}
