/**
 * A journal: the Durable Object that holds what happened in an organisation on a UTC day, and the deliveries
 * that are owed for it. `JournalCalls` says what each call does, `journal-store.ts` what is stored.
 *
 * It has no alarm, because it needs none: whoever tells it of an event repeats that until it answers, and it
 * answers only when the first attempts are on a queue of deliveries.
 */
import { DurableObject } from "cloudflare:workers";
import { type Database, openDatabase } from "../db/open";
import type { AttemptRecord, RecordedEvent, StoredDelivery } from "../events/delivery-record";
import type { SummarisedEvent } from "../events/delivery-summary";
import type { DomainEvent } from "../events/event";
import type {
  DeliveryPageQuery,
  EventPageQuery,
  JournalCalls,
  JournalPage,
  UndeliveredQuery,
} from "../events/journal-calls";
import {
  eventIdOfDelivery,
  isDayOver,
  type JournalKey,
  journalName,
  parseJournalName,
} from "../events/journal-key";
import { registerJournal } from "../events/journal-registry";
import { readConfig } from "../platform/config";
import { log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import { deliveriesOf } from "../webhooks/fan-out";
import { FirstAttempts } from "./first-attempts";
import { pageOfDeliveries, pageOfEvents, pageOfUndelivered } from "./journal-pages";
import { JournalStore } from "./journal-store";
import { D1_MS, Listeners } from "./listeners";
import { givenUp, isUnattempted, unattempted, withAttempt } from "./stored-delivery";

/**
 * A journal of more bytes takes no more events. An object holds 10 GB: the rest is for the attempts of what is
 * recorded.
 */
export const FULL_BYTES = 9_500_000_000;
/** From this size on a journal warns that it will be full, so that its organisation gets more of them in time. */
const WARN_BYTES = 0.8 * FULL_BYTES;
/** So long an instance does not warn again, in milliseconds. */
const WARN_AGAIN_MS = 600_000;

export class JournalObject extends DurableObject<Env> implements JournalCalls {
  readonly #key: JournalKey;
  readonly #db: Database;
  readonly #store: JournalStore;
  readonly #listeners: Listeners;
  readonly #firstAttempts: FirstAttempts;
  /** Entering the journal in D1: once for each instance, and one call for all who wait. Null: not begun. */
  #registered: Promise<void> | null = null;
  /** When this instance last warned of its size, Unix milliseconds. 0: never. */
  #warnedAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#key = parseJournalName(ctx.id.name ?? "");
    this.#db = openDatabase(env);
    this.#store = new JournalStore(ctx.storage.sql, this.#key.organisationId);
    this.#listeners = new Listeners(this.#db, this.#key.organisationId);
    this.#firstAttempts = new FirstAttempts(env);
  }

  async record(events: readonly DomainEvent[]): Promise<void> {
    if (this.#isOver()) return this.#discard(events);
    const endpoints = await this.#listeners.current(Date.now());
    await this.#register();
    // Retention may have dropped this journal meanwhile: nothing is recorded behind it.
    if (this.#isOver()) return this.#discard(events);
    const pending = this.#write(() =>
      events.flatMap((event) => {
        const deliveries = deliveriesOf(event, endpoints).map(unattempted);
        if (this.#add(event, deliveries)) return deliveries;
        return this.#store.find(event.id)?.deliveries.filter(isUnattempted) ?? [];
      }),
    );
    // The rows come first: the consumer drops a message whose delivery is not recorded. If the queue fails now,
    // this call throws, and the journal is told of the event again: then the messages follow.
    await this.#firstAttempts.send(pending);
  }

  async recordAttempted(event: DomainEvent, delivery: StoredDelivery): Promise<void> {
    if (this.#isOver()) return this.#discard([event]);
    await this.#register();
    if (this.#isOver()) return this.#discard([event]);
    this.#write(() => this.#add(event, [delivery]));
  }

  async endpointsChanged(): Promise<void> {
    this.#listeners.changed();
  }

  async find(eventIds: readonly string[]): Promise<RecordedEvent[]> {
    return eventIds.flatMap((id) => this.#store.find(id) ?? []);
  }

  async listEvents(query: EventPageQuery): Promise<JournalPage<SummarisedEvent>> {
    return pageOfEvents(this.#store, query);
  }

  async listDeliveries(query: DeliveryPageQuery): Promise<JournalPage<StoredDelivery>> {
    return pageOfDeliveries(this.#store, query);
  }

  async listUndelivered(query: UndeliveredQuery): Promise<JournalPage<StoredDelivery>> {
    return pageOfUndelivered(this.#store, query);
  }

  async recordAttempts(records: readonly AttemptRecord[]): Promise<void> {
    const byEvent = Map.groupBy(records, ({ deliveryId }) => eventIdOfDelivery(deliveryId));
    this.#write(() => {
      for (const [eventId, own] of byEvent) {
        this.#store.changeDeliveries(eventId, (delivery) =>
          own
            .filter(({ deliveryId }) => deliveryId === delivery.id)
            .reduce<StoredDelivery | null>(
              (changed, record) => withAttempt(changed ?? delivery, record) ?? changed,
              null,
            ),
        );
      }
    });
  }

  async giveUp(deliveryId: string, attempt: number): Promise<void> {
    this.#write(() =>
      this.#store.changeDeliveries(eventIdOfDelivery(deliveryId), (delivery) =>
        delivery.id === deliveryId ? givenUp(delivery, attempt) : null,
      ),
    );
  }

  async drop(): Promise<void> {
    const emptied = this.ctx.storage.deleteAll();
    // At once, so that nobody who comes meanwhile takes the journal for entered.
    this.#store.forget();
    this.#firstAttempts.forget();
    this.#registered = null;
    await emptied;
  }

  /**
   * Enters the journal in D1 before its first event, so that lists and retention know of it. Each instance
   * does it again: a restore of D1 may have lost the row. So does a call that waited for D1 while the journal
   * was dropped: the row that it has made may be removed by now.
   */
  async #register(): Promise<void> {
    let entered: Promise<void>;
    do {
      entered = this.#registered ??= this.#enter();
      await entered;
    } while (this.#registered !== entered);
  }

  #enter(): Promise<void> {
    const entered = registerJournal(this.#db, this.#key);
    const entering: Promise<void> = withTimeout(D1_MS, entered).catch((error) => {
      if (this.#registered === entering) this.#registered = null;
      throw error;
    });
    return entering;
  }

  #isOver(): boolean {
    return isDayOver(this.#key.day, readConfig(this.env).retentionDays, Date.now());
  }

  #discard(events: readonly DomainEvent[]): void {
    log("events older than retention discarded", {
      organisation: this.#key.organisationId,
      events: events.map(({ id }) => id).slice(0, 10),
      count: events.length,
    });
  }

  /**
   * Records an event. False: it was recorded before.
   * @throws when the journal is full
   */
  #add(event: DomainEvent, deliveries: readonly StoredDelivery[]): boolean {
    const { bytes } = this.#store;
    if (bytes > FULL_BYTES) {
      if (this.#store.find(event.id)) return false;
      log("journal full", { ...this.#key, bytes, limit_bytes: FULL_BYTES });
      throw new Error(`the journal ${journalName(this.#key)} is full: it has ${bytes} bytes`);
    }
    if (bytes > WARN_BYTES) this.#warn(bytes);
    this.#store.createTables();
    return this.#store.add(event, deliveries);
  }

  #warn(bytes: number): void {
    const now = Date.now();
    if (now - this.#warnedAt < WARN_AGAIN_MS) return;
    this.#warnedAt = now;
    const advice = `Set event_journals of organisation ${this.#key.organisationId} higher before it is full.`;
    log("journal nearly full", { ...this.#key, bytes, limit_bytes: FULL_BYTES, advice });
  }

  /** Writes all of it or nothing. */
  #write<T>(work: () => T): T {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      this.#store.forget();
      throw error;
    }
  }
}
