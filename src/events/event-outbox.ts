/**
 * The outbox of changes in D1. The transaction of a change also stores its events, in the table
 * `owed_events`. After the answer they are recorded in their journals, and their rows are removed. Where that
 * failed, the sweep records them. So no event is lost. A journal may be told of an event twice, and knows it
 * by its id.
 *
 * An event costs two rows of D1: itself, and its removal.
 */
import { and, inArray, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { owedEvents } from "../db/schema/events";
import { describeError, log } from "../platform/log";
import { sideBySide } from "../platform/side-by-side";
import type { DomainEvent } from "./event";
import type { EventType } from "./event-types";
import type { JournalClient } from "./journal-client";
import { firstEventIdAt } from "./journal-key";

/** The sweep records an event only when it is this old: before that, the request that made it is about to. */
const SWEEP_AFTER_MS = 60_000;
/**
 * For how many events at the same time `followUp` is called. The sweep has hundreds of events, and each may call
 * many objects. But an invocation has six connections, and the calls of journals need some at the same time.
 */
const FOLLOWED_AT_ONCE = 5;

/** The statements of an `insertion`. */
export type EventInsertion = ReturnType<EventOutbox["insertion"]>;

/** Where a change in D1 and its events are stored together. */
export interface ChangeStore {
  db: Database;
  events: EventOutbox;
}

/** What an outbox works with. */
export interface OutboxServices {
  db: Database;
  journals: JournalClient;
  ctx: { waitUntil(promise: Promise<unknown>): void };
  /**
   * Does what else follows from an event, beside recording it, such as closing the sockets of a revoked device.
   * Called again until both have succeeded. It does not wait for journals: a device that was revoked is cut off
   * also while the event cannot be recorded.
   */
  followUp(event: DomainEvent): Promise<void>;
}

/** Stores the events of changes in D1, and has them recorded. */
export class EventOutbox {
  readonly #services: OutboxServices;

  constructor(services: OutboxServices) {
    this.#services = services;
  }

  /** The journals in which the events are recorded. */
  get journals(): JournalClient {
    return this.#services.journals;
  }

  /**
   * The statement that stores events, for the batch of the change.
   * @param when the condition of the change itself. Without it, events of a change that did not happen
   *   would be stored. If a statement of the batch makes the condition untrue, put this statement before it.
   * @param data the SQL of the events' data, where only the batch itself knows a part of it
   */
  insertion(
    added: readonly DomainEvent[],
    when: SQL = sql`true`,
    data: SQL = sql`value ->> 'data'`,
  ) {
    const rows = JSON.stringify(added.map((e) => ({ ...e, data: JSON.stringify(e.data) })));
    return [
      this.#services.db
        .insert(owedEvents)
        .select(
          sql`select value ->> 'id', value ->> 'organisationId', value ->> 'type', value ->> 'at', ${data}
            from json_each(${rows}) where ${when}`,
        )
        .onConflictDoNothing(),
    ] as const;
  }

  /** Has stored events recorded, after the answer. Call it only when the batch has made its change. */
  sendAfterAnswer(stored: readonly DomainEvent[]): void {
    this.#services.ctx.waitUntil(
      this.#send(stored).catch((error) =>
        log("events still owed", { error: describeError(error) }),
      ),
    );
  }

  /**
   * Records a page of the events that were not recorded in time, oldest first. Those that cannot be recorded
   * stay owed, and do not hold up the others.
   * @param now Unix milliseconds
   * @param after the last event of the page before; null: from the first
   * @returns the last event of this page; null: it was not full
   */
  async sweep(
    now: number,
    { after, limit }: { after: string | null; limit: number },
  ): Promise<string | null> {
    const owed = await this.#services.db
      .select()
      .from(owedEvents)
      .where(
        and(
          lt(owedEvents.id, firstEventIdAt(now - SWEEP_AFTER_MS)),
          after === null ? undefined : sql`${owedEvents.id} > ${after}`,
        ),
      )
      .orderBy(owedEvents.id)
      .limit(limit);
    const events = owed.map((row) => ({
      ...row,
      type: row.type as EventType,
      data: JSON.parse(row.data) as object,
    }));
    await this.#send(events).catch((error) =>
      log("events still owed", { error: describeError(error) }),
    );
    return owed.length < limit ? null : (owed.at(-1)?.id ?? null);
  }

  /** @throws the first failure, after it has done all that it can */
  async #send(stored: readonly DomainEvent[]): Promise<void> {
    const following = sideBySide(stored, FOLLOWED_AT_ONCE, async (event) => {
      await this.#services.followUp(event);
      return event.id;
    });
    const { recorded, failures } = await this.#services.journals.recordEach(stored);
    const followed = new Set<string>();
    for (const outcome of await following) {
      if (outcome.status === "fulfilled") followed.add(outcome.value);
      else failures.push(outcome.reason);
    }
    await this.#removeOwed(recorded.map(({ id }) => id).filter((id) => followed.has(id)));
    if (failures.length > 0) throw failures[0];
  }

  async #removeOwed(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#services.db
      .delete(owedEvents)
      .where(inArray(owedEvents.id, sql`(select value from json_each(${JSON.stringify(ids)}))`));
  }
}
