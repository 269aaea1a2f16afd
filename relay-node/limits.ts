/** What the users of a relay node may send: the relay's limits, and for a host so much for each client. Pure. */
import { type BudgetLimits, spend } from "../src/relay/budget";
import { FIRST_HOST } from "../src/session/session";
import { NEVER, type NodeSession, type NodeUser } from "./session-table";

/** More clients than a session has. */
const MAX_CLIENTS = 64;

export class Limits {
  /** The limits of a host with so many clients; those of a client are at 1. Empty: nothing was said yet. */
  #limits: readonly BudgetLimits[] = [];

  /** Sets what one user may send. */
  set(limits: BudgetLimits): void {
    this.#limits = Array.from({ length: MAX_CLIENTS + 1 }, (_, clients) =>
      multiply(limits, Math.max(1, clients)),
    );
  }

  /** Takes a datagram of `size` bytes from the user's budget; false when that does not cover it. */
  spend(user: NodeUser, size: number, now: number): boolean {
    const limits = this.#limits[user.n === FIRST_HOST ? clientsOf(user.session) : 1];
    if (!limits) return false;
    if (user.at === NEVER) {
      user.bytes = limits.burstBytes;
      user.messages = limits.burstMessages;
      user.at = now;
    }
    return spend(user, limits, size, now);
  }
}

/** How many clients a host can reach now. */
function clientsOf({ connectedClients, trunk }: NodeSession): number {
  return Math.min(connectedClients + (trunk?.users.size ?? 0), MAX_CLIENTS);
}

function multiply(limits: BudgetLimits, factor: number): BudgetLimits {
  return {
    bytesPerSecond: limits.bytesPerSecond * factor,
    burstBytes: limits.burstBytes * factor,
    messagesPerSecond: limits.messagesPerSecond * factor,
    burstMessages: limits.burstMessages * factor,
  };
}
