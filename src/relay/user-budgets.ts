/** The budgets of a session's users, and what a message and a connection cost them. The hub asks it. */
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

/**
 * One budget for each user, not for each socket: a user who connects again gets no new burst. Budgets are
 * in memory, and hibernation forgets them. It comes only when everyone was silent for ten seconds, and in
 * that time a budget fills by ten seconds of its rate: by default, that is more than the burst.
 */
export class UserBudgets {
  readonly #limits: BudgetLimits;
  readonly #budgets = new Map<number, Budget>();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Takes a message of `size` bytes; false when the budget does not cover it. */
  spend(n: number, size: number, now: number): boolean {
    return spend(this.#of(n, now), this.#limits, size, now);
  }

  /** Takes a message that was received already, whether or not the budget covers it. */
  charge(n: number, size: number, now: number): void {
    charge(this.#of(n, now), this.#limits, size, now);
  }

  /**
   * Takes a connection that makes the relay send so many messages to others and to the user.
   * @returns 0, or in how many seconds the budget will cover it
   */
  spendConnection(n: number, messages: number, now: number): number {
    const cost = Math.max(CONNECTION_MESSAGES, messages);
    return spendConnection(this.#of(n, now), this.#limits, cost, now);
  }

  #of(n: number, now: number): Budget {
    const budget = this.#budgets.get(n) ?? newBudget(this.#limits, now);
    this.#budgets.set(n, budget);
    return budget;
  }
}
