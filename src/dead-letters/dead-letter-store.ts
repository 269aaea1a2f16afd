import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { deadLetters } from "../db/schema/events";
import { describeError, log } from "../platform/log";

/**
 * Puts a message back on its queue because D1 or a queue failed: first for ten seconds, then ever
 * longer, so that the hundred retries which the platform allows outlast an outage of 23 hours.
 */
export function retryLater(message: Message): void {
  message.retry({ delaySeconds: Math.min(10 * 2 ** Math.min(message.attempts - 1, 10), 900) });
}

/** Records a message that is of no use; twice recorded, it is one. */
async function insertDeadLetter(
  db: Database,
  queue: string,
  message: Message,
  reason: string,
): Promise<void> {
  // Whole, so that it can be sent again: a message is at most 128 KB.
  const body = JSON.stringify(message.body) ?? "null";
  await db
    .insert(deadLetters)
    .values({ id: message.id, queue, at: message.timestamp.getTime(), reason, body })
    .onConflictDoNothing();
  log("dead letter", { queue, message_id: message.id, reason });
}

/** Records a message and takes it off its queue; where D1 fails, it comes back later, alone. */
export async function recordDeadLetter(
  db: Database,
  queue: string,
  message: Message,
  reason: string,
): Promise<void> {
  try {
    await insertDeadLetter(db, queue, message, reason);
    message.ack();
  } catch (error) {
    log("dead letter not recorded", { queue, message_id: message.id, error: describeError(error) });
    retryLater(message);
  }
}

/** Removes what was recorded before `cutoff` (Unix milliseconds), a page; returns how many. */
export async function sweepDeadLetters(
  db: Database,
  cutoff: number,
  limit: number,
): Promise<number> {
  const old = sql`${deadLetters.id} in (select id from ${deadLetters} where at < ${cutoff} limit ${limit})`;
  const { meta } = await db.run(sql`delete from ${deadLetters} where ${old}`);
  return meta.changes;
}
