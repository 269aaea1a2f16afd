/**
 * The outbox of what lives in D1. An event is recorded and owed in the very transaction of the change
 * that it tells of, sent to the queue behind the answer, and struck out once it is sent. What stays
 * owed is sent by the sweep: an event may come twice, and is known by its id; none is lost.
 *
 * A change costs three rows for each event: the event, what is owed, and its removal.
 */
import { and, eq, inArray, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { events, owedEvents } from "../db/schema/events";
import { describeError, log } from "../platform/log";
import type { DomainEvent } from "./event";
import { sendEvents } from "./event-queue";
import { firstEventIdAt } from "./event-store";

/** Left to the sender itself for so long, before the sweep sends an event. */
const SWEEP_AFTER_MS = 60_000;
/** Calls of the queue side by side in the sweep: an invocation has six connections. */
const SENDS_AT_ONCE = 5;

/** The statements of an `insertion`. */
export type EventInsertion = ReturnType<EventOutbox["insertion"]>;

/** Where a change in D1 and its events are stored together. */
export interface ChangeStore {
  db: Database;
  events: EventOutbox;
}

/** Records events of changes in D1, and announces them. */
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
   * The two statements that record events and owe them, for the batch of the change.
   * @param when the condition of the change itself: without it, events of a change that did not
   *   happen would be recorded. Put these statements before the one that makes it untrue.
   * @param data what is recorded as an event's data, where only the batch itself can complete it
   */
  insertion(
    owed: readonly DomainEvent[],
    when: SQL = sql`true`,
    data: SQL = sql`value ->> 'data'`,
  ) {
    const rows = JSON.stringify(owed.map((e) => ({ ...e, data: JSON.stringify(e.data) })));
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

  /** Sends events that are stored, behind the answer. Call it when the batch has changed something. */
  announce(stored: readonly DomainEvent[]): void {
    this.#ctx.waitUntil(
      this.#send(stored).catch((error) =>
        log("events still owed", { error: describeError(error) }),
      ),
    );
  }

  /** Sends a page of what is owed for too long; returns how many. */
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
    // An event without its row belonged to an organisation that is gone.
    const found = owed.flatMap(({ event }) =>
      event ? [{ ...event, data: JSON.parse(event.data) } as DomainEvent] : [],
    );
    await sendEvents(this.#queue, found, SENDS_AT_ONCE);
    await this.#strike(owed.map(({ id }) => id));
    return owed.length;
  }

  async #send(owed: readonly DomainEvent[]): Promise<void> {
    await sendEvents(this.#queue, owed);
    await this.#strike(owed.map(({ id }) => id));
  }

  async #strike(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#db
      .delete(owedEvents)
      .where(inArray(owedEvents.id, sql`(select value from json_each(${JSON.stringify(ids)}))`));
  }
}
