/** What no consumer could use: recorded, so that a person can look. */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { deadLetters } from "../db/schema";
import { describeError, log } from "../log";

/** How much of a message is kept. */
const KEPT_BODY_LENGTH = 4_096;
/** When D1 fails, the message comes back after this. */
const RETRY_SECONDS = 30;

/** Records a message that is of no use; twice recorded, it is one. */
async function recordDeadLetter(
  db: Database,
  queue: string,
  message: Message,
  reason: string,
): Promise<void> {
  const body = (JSON.stringify(message.body) ?? "null").slice(0, KEPT_BODY_LENGTH);
  await db
    .insert(deadLetters)
    .values({ id: message.id, queue, at: message.timestamp.getTime(), reason, body })
    .onConflictDoNothing();
  log("dead letter", { queue, message_id: message.id, reason });
}

/** Records a message and takes it off its queue; where D1 fails, it comes back later, alone. */
export async function buryMessage(
  db: Database,
  queue: string,
  message: Message,
  reason: string,
): Promise<void> {
  try {
    await recordDeadLetter(db, queue, message, reason);
    message.ack();
  } catch (error) {
    log("dead letter not recorded", { queue, message_id: message.id, error: describeError(error) });
    message.retry({ delaySeconds: RETRY_SECONDS });
  }
}

/** Consumes the dead-letter queue: what ran out of retries while D1 or a queue was down. */
export async function consumeDeadLetters(batch: MessageBatch, db: Database): Promise<void> {
  for (const message of batch.messages) {
    await buryMessage(db, batch.queue, message, "out of retries");
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
