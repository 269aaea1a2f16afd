/** The budgets of a session's users, and what each thing that they do costs. */
import {
  type Budget,
  type BudgetLimits,
  charge,
  newBudget,
  spend,
  spendConnection,
} from "./budget";

/** What a connection costs in messages, if it does not make the relay send more than that. */
const CONNECTION_MESSAGES = 50;

/**
 * One budget for each user, not for each socket: who connects again gets no new burst. They are kept in
 * memory. Hibernation, before which everyone has to be silent for ten seconds, forgets them; in that
 * time a budget fills by ten seconds of its rate, which by default is more than the burst.
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

  /** Takes a message that was received in any case, whether or not the budget covers it. */
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
