/**
 * How much one participant may send: two token buckets, bytes and messages. A journal has such a budget for its
 * first attempts. Pure.
 */

/** Limits of one participant; a rate of 0 switches that bucket off. */
export interface BudgetLimits {
  bytesPerSecond: number;
  burstBytes: number;
  messagesPerSecond: number;
  burstMessages: number;
}

/** What a participant has left. A number below 0 has to fill up to 0 first. */
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
  fill(budget, limits, now);
  const enoughBytes = limits.bytesPerSecond === 0 || budget.bytes >= size;
  const enoughMessages = limits.messagesPerSecond === 0 || budget.messages >= 1;
  if (!enoughBytes || !enoughMessages) return false;
  take(budget, size);
  return true;
}

/** Takes one message of `size` bytes that was received already, whether or not the budget covers it. */
export function charge(budget: Budget, limits: BudgetLimits, size: number, now: number): void {
  fill(budget, limits, now);
  take(budget, size);
}

/**
 * Takes a connection that costs so many messages, but never more than the burst: more is never there.
 * A user who has sent more bytes than the budget covered has to wait for these too.
 * @returns 0 when it was taken, or in how many seconds it will be covered
 */
export function spendConnection(
  budget: Budget,
  limits: BudgetLimits,
  messages: number,
  now: number,
): number {
  fill(budget, limits, now);
  const cost = Math.min(messages, limits.burstMessages);
  const wait = Math.max(
    secondsToFill(cost - budget.messages, limits.messagesPerSecond),
    secondsToFill(-budget.bytes, limits.bytesPerSecond),
  );
  if (wait === 0) budget.messages -= cost;
  return wait;
}

function fill(budget: Budget, limits: BudgetLimits, now: number): void {
  // A clock that goes backwards fills nothing.
  const seconds = Math.max(0, now - budget.at) / 1_000;
  budget.at = now;
  budget.bytes = Math.min(limits.burstBytes, budget.bytes + seconds * limits.bytesPerSecond);
  budget.messages = Math.min(
    limits.burstMessages,
    budget.messages + seconds * limits.messagesPerSecond,
  );
}

function take(budget: Budget, size: number): void {
  budget.bytes -= size;
  budget.messages -= 1;
}

function secondsToFill(missing: number, perSecond: number): number {
  // A millionth for the rounding of fractions: a user who waited as long as told is not refused again.
  return perSecond === 0 || missing <= 1e-6 ? 0 : Math.ceil(missing / perSecond);
}
