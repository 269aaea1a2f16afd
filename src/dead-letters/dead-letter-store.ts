/**
 * Queue messages that cannot be handled: when a message is tried again, and where one that is of no use
 * is kept. All consumers of queues call it.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { deadLetters } from "../db/schema/events";
import { describeError, log } from "../platform/log";

/**
 * Puts a message back on its queue because D1, a journal or a queue failed: for ten seconds at first, and
 * longer each time. With the 100 allowed retries a message survives an outage of 23 hours.
 */
export function retryLater(message: Message): void {
  message.retry({ delaySeconds: Math.min(10 * 2 ** Math.min(message.attempts - 1, 10), 900) });
}

/** Stores a message that nobody could use. Stored twice, it is one row. */
async function insertDeadLetter(
  db: Database,
  queue: string,
  message: Message,
  reason: string,
): Promise<void> {
  // The whole body, so that it can be sent again. A message has at most 128 KB.
  const body = JSON.stringify(message.body) ?? "null";
  await db
    .insert(deadLetters)
    .values({ id: message.id, queue, at: message.timestamp.getTime(), reason, body })
    .onConflictDoNothing();
  log("dead letter", { queue, message_id: message.id, reason });
}

/** Stores a message and takes it off its queue. If D1 fails, this message alone comes back later. */
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

/** Removes up to `limit` dead letters from before `cutoff` (Unix milliseconds); returns how many. */
export async function sweepDeadLetters(
  db: Database,
  cutoff: number,
  limit: number,
): Promise<number> {
  const old = sql`${deadLetters.id} in (select id from ${deadLetters} where at < ${cutoff} limit ${limit})`;
  const { meta } = await db.run(sql`delete from ${deadLetters} where ${old}`);
  return meta.changes;
}
