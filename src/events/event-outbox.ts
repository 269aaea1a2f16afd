/**
 * The outbox of changes in D1. The transaction of a change also stores its events, in the tables `events`
 * and `owed_events`. After the answer they are sent to the queue, and their rows in `owed_events` are
 * removed. Where that failed, the sweep sends them. So no event is lost. An event may be sent twice, and
 * its id shows that.
 *
 * An event costs three rows: itself, its row in `owed_events`, and the removal of that row.
 */
import { and, eq, inArray, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events, owedEvents } from "../db/schema/events";
import { describeError, log } from "../platform/log";
import type { DomainEvent } from "./event";
import { sendEvents } from "./event-queue";
import { firstEventIdAt } from "./event-store";

/** The sweep sends an event only when it is so old: before that, the request that made it does. */
const SWEEP_AFTER_MS = 60_000;
/** How many calls of the queue the sweep makes at once. An invocation may have six connections. */
const SENDS_AT_ONCE = 5;

/** The statements of an `insertion`. */
export type EventInsertion = ReturnType<EventOutbox["insertion"]>;

/** Where a change in D1 and its events are stored together. */
export interface ChangeStore {
  db: Database;
  events: EventOutbox;
}

/** Stores the events of changes in D1, and sends them. */
export class EventOutbox {
  readonly #db: Database;
  readonly #queue: Queue;
  readonly #ctx: { waitUntil(promise: Promise<unknown>): void };

  constructor(db: Database, queue: Queue, ctx: { waitUntil(promise: Promise<unknown>): void }) {
    this.#db = db;
    this.#queue = queue;
    this.#ctx = ctx;
  }

  /**
   * The two statements that store events, for the batch of the change.
   * @param when the condition of the change itself. Without it, events of a change that did not happen
   *   would be stored. If a statement of the batch makes the condition untrue, put these statements
   *   before it.
   * @param data the SQL of the events' data, where only the batch itself knows a part of it
   */
  insertion(
    added: readonly DomainEvent[],
    when: SQL = sql`true`,
    data: SQL = sql`value ->> 'data'`,
  ) {
    const rows = JSON.stringify(added.map((e) => ({ ...e, data: JSON.stringify(e.data) })));
    const each = sql`from json_each(${rows}) where ${when}`;
    return [
      this.#db
        .insert(events)
        .select(
          sql`select value ->> 'organisationId', value ->> 'id', value ->> 'type', value ->> 'at', ${data} ${each}`,
        )
        .onConflictDoNothing(),
      this.#db
        .insert(owedEvents)
        .select(sql`select value ->> 'id', value ->> 'organisationId' ${each}`)
        .onConflictDoNothing(),
    ] as const;
  }

  /** Sends stored events, after the answer. Call it only when the batch has made its change. */
  sendAfterAnswer(stored: readonly DomainEvent[]): void {
    this.#ctx.waitUntil(
      this.#send(stored).catch((error) =>
        log("events still owed", { error: describeError(error) }),
      ),
    );
  }

  /** Sends up to `limit` events that were not sent in time; returns how many. `now`: Unix milliseconds. */
  async sweep(now: number, limit: number): Promise<number> {
    const owed = await this.#db
      .select({ id: owedEvents.id, event: events })
      .from(owedEvents)
      .leftJoin(
        events,
        and(eq(events.organisationId, owedEvents.organisationId), eq(events.id, owedEvents.id)),
      )
      .where(lt(owedEvents.id, firstEventIdAt(now - SWEEP_AFTER_MS)))
      .orderBy(owedEvents.id)
      .limit(limit);
    // An event that is no longer stored belonged to an organisation that was deleted.
    const found = owed.flatMap(({ event }) =>
      event ? [{ ...event, data: JSON.parse(event.data) } as DomainEvent] : [],
    );
    await sendEvents(this.#queue, found, SENDS_AT_ONCE);
    await this.#removeOwed(owed.map(({ id }) => id));
    return owed.length;
  }

  async #send(stored: readonly DomainEvent[]): Promise<void> {
    await sendEvents(this.#queue, stored);
    await this.#removeOwed(stored.map(({ id }) => id));
  }

  async #removeOwed(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#db
      .delete(owedEvents)
      .where(inArray(owedEvents.id, sql`(select value from json_each(${JSON.stringify(ids)}))`));
  }
}
