/** How many bytes the broadcasts of one relay session may make it send, to all receivers together. */
import { type Budget, type BudgetLimits, newBudget, spend } from "./budget";

/** A session may send so many seconds of its rate at once. */
const BURST_SECONDS = 2;

/** It is in memory, as the budgets of users are: see `UserBudgets`. */
export class BroadcastBudget {
  readonly #limits: BudgetLimits;
  #budget: Budget | null = null;

  /** @param bytesPerSecond 0: no bound */
  constructor(bytesPerSecond: number) {
    const burstBytes = BURST_SECONDS * bytesPerSecond;
    this.#limits = { bytesPerSecond, burstBytes, messagesPerSecond: 0, burstMessages: 0 };
  }

  /** Takes the bytes of one broadcast, to all its receivers; false when that is more than is left. */
  spend(bytes: number, now: number): boolean {
    this.#budget ??= newBudget(this.#limits, now);
    return spend(this.#budget, this.#limits, bytes, now);
  }
}
