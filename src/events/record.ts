/**
 * Events of what D1 is the home of. An event is written in the batch that makes the change, under the
 * same condition, so that there is never one without the other; then it goes on the queue, whose
 * consumer knows by its id that it is recorded already.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events } from "../db/schema";
import { type DomainEvent, newEventId } from "./event";

/** An event that is to be recorded with a change. */
export type RecordedEvent = ReturnType<typeof recordEvent>;

/**
 * Prepares an event.
 * @param now Unix milliseconds
 */
export function recordEvent(
  db: Database,
  fact: Pick<DomainEvent, "organisationId" | "type" | "data">,
  now: number,
) {
  const event: DomainEvent = { id: newEventId(now), at: now, ...fact };
  return {
    /** For the batch of the change: records the event where `onlyIf` holds. */
    statement: (onlyIf: SQL) =>
      db.insert(events).select(
        sql`select ${event.organisationId}, ${event.id}, ${event.type}, ${event.at},
          ${JSON.stringify(event.data)} where ${onlyIf}`,
      ),
    /** After the batch, if the change was made. */
    announce: async (queue: Queue): Promise<void> => {
      await queue.send({ v: 1, event });
    },
  };
}
