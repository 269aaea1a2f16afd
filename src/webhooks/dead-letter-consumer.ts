/**
 * Consumes the dead-letter queue. Its messages ran out of retries, because D1, a journal or a queue was down
 * for long.
 */
import type { Database } from "../db/open";
import { recordDeadLetter, retryLater } from "../dead-letters/dead-letter-store";
import type { DeliveryKey } from "../events/delivery-record";
import type { JournalClient } from "../events/journal-client";
import { eventIdOfDelivery } from "../events/journal-key";
import { describeError, log } from "../platform/log";
import { parseDeliveryMessage } from "./delivery-messages";
import { giveUpRecovery } from "./recovery";

/**
 * Handles a batch. A delivery whose next attempt is lost with its message is recorded as failed: people find
 * it in the list of deliveries, and can send it again.
 */
export async function consumeDeadLetters(
  batch: MessageBatch,
  db: Database,
  journals: JournalClient,
): Promise<void> {
  for (const message of batch.messages) {
    const lost = parseDeliveryMessage(message.body);
    try {
      if (lost && "attempt" in lost) await giveUpDelivery(journals, lost);
      if (lost && "recovery" in lost)
        await giveUpRecovery(
          db,
          { organisationId: lost.organisationId, id: lost.recovery },
          Date.now(),
        );
      await recordDeadLetter(db, batch.queue, message, "out of retries");
    } catch (error) {
      log("queue message failed", { queue: batch.queue, error: describeError(error) });
      retryLater(message);
    }
  }
}

async function giveUpDelivery(
  journals: JournalClient,
  { organisationId, id, attempt }: DeliveryKey & { attempt: number },
): Promise<void> {
  if (!journals.mayHold(eventIdOfDelivery(id))) return;
  const key = await journals.journalOf(organisationId, eventIdOfDelivery(id));
  await journals.call(key, (journal) => journal.giveUp(id, attempt));
}
