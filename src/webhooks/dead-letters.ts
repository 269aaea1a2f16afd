/** What no consumer could use: recorded, so that a person can look. */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { deadLetters } from "../db/schema";

/** How much of a message is kept. */
const KEPT_BODY_LENGTH = 4_096;

/** Records a message that is of no use; twice recorded, it is one. */
export async function recordDeadLetter(
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
  console.error(JSON.stringify({ message: "dead letter", queue, message_id: message.id, reason }));
}

/** Consumes the dead-letter queue: what ran out of retries while D1 or a queue was down. */
export async function consumeDeadLetters(batch: MessageBatch, db: Database): Promise<void> {
  for (const message of batch.messages) {
    await recordDeadLetter(db, batch.queue, message, "out of retries");
    message.ack();
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
