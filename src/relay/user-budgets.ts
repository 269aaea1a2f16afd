/** The budgets of a session's users, and what each thing that they do costs. */
import { dropOldest } from "../platform/bounded-memory";
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
/** Budgets remembered; above it the oldest go. A session has 64 users at a time. */
const MOST_BUDGETS = 1_000;

/**
 * One budget for each user, not for each socket: who connects again gets no new burst. They are kept in
 * memory. Hibernation, before which everyone has to be silent for ten seconds, forgets them; in that
 * time a budget fills by ten seconds of its rate, which by default is more than the burst.
 */
export class UserBudgets<Who = number> {
  readonly #limits: BudgetLimits;
  readonly #budgets = new Map<Who, Budget>();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Takes a message of `size` bytes; false when the budget does not cover it. */
  spend(n: Who, size: number, now: number): boolean {
    return spend(this.#of(n, now), this.#limits, size, now);
  }

  /** Takes a message that was received in any case, whether or not the budget covers it. */
  charge(n: Who, size: number, now: number): void {
    charge(this.#of(n, now), this.#limits, size, now);
  }

  /**
   * Takes a connection that makes the relay send so many messages to others and to the user.
   * @returns 0, or in how many seconds the budget will cover it
   */
  spendConnection(n: Who, messages: number, now: number): number {
    const cost = Math.max(CONNECTION_MESSAGES, messages);
    return spendConnection(this.#of(n, now), this.#limits, cost, now);
  }

  #of(n: Who, now: number): Budget {
    const budget = this.#budgets.get(n) ?? newBudget(this.#limits, now);
    this.#budgets.set(n, budget);
    dropOldest(this.#budgets, MOST_BUDGETS);
    return budget;
  }
}
