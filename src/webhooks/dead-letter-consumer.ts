import type { Database } from "../db/open";
import { recordDeadLetter, retryLater } from "../dead-letters/dead-letter-store";
import { describeError, log } from "../platform/log";
import { parseDeliveryMessage } from "./delivery-messages";
import { giveUpDelivery } from "./delivery-store";
import { giveUpRecovery } from "./recovery";

/**
 * Consumes the dead-letter queue: what ran out of retries while D1 or a queue was down. A delivery whose
 * message is gone has failed, where people look for it, and can be sent again.
 */
export async function consumeDeadLetters(batch: MessageBatch, db: Database): Promise<void> {
  for (const message of batch.messages) {
    const lost = parseDeliveryMessage(message.body);
    try {
      if (lost && "attempt" in lost) await giveUpDelivery(db, lost);
      if (lost && "recovery" in lost) await giveUpRecovery(db, lost);
      await recordDeadLetter(db, batch.queue, message, "out of retries");
    } catch (error) {
      log("queue message failed", { queue: batch.queue, error: describeError(error) });
      retryLater(message);
    }
  }
}
