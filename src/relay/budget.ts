/** How much one participant may send: two token buckets, bytes and messages. Pure. */

/** Limits of one participant; a rate of 0 switches that bucket off. */
export interface BudgetLimits {
  bytesPerSecond: number;
  burstBytes: number;
  messagesPerSecond: number;
  burstMessages: number;
}

/** What a participant has left. */
export interface Budget {
  bytes: number;
  messages: number;
  /** When it was last filled, Unix milliseconds. */
  at: number;
}

/** A full budget. */
export function newBudget(limits: BudgetLimits, now: number): Budget {
  return { bytes: limits.burstBytes, messages: limits.burstMessages, at: now };
}

/**
 * Takes one message of `size` bytes from the budget, in place (it runs for every frame).
 * @returns false when it does not cover the message
 */
export function spend(budget: Budget, limits: BudgetLimits, size: number, now: number): boolean {
  // A clock that goes backwards fills nothing.
  const seconds = Math.max(0, now - budget.at) / 1_000;
  budget.at = now;
  budget.bytes = Math.min(limits.burstBytes, budget.bytes + seconds * limits.bytesPerSecond);
  budget.messages = Math.min(
    limits.burstMessages,
    budget.messages + seconds * limits.messagesPerSecond,
  );
  const enoughBytes = limits.bytesPerSecond === 0 || budget.bytes >= size;
  const enoughMessages = limits.messagesPerSecond === 0 || budget.messages >= 1;
  if (!enoughBytes || !enoughMessages) return false;
  budget.bytes -= size;
  budget.messages -= 1;
  return true;
}
