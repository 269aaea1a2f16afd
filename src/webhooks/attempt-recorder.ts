/**
 * Tells journals what came of the attempts of one batch of the consumer: those for the same organisation and
 * day together, so that attempts for the same event cost one write.
 */
import type { AttemptRecord, DeliveryKey } from "../events/delivery-record";
import type { JournalClient } from "../events/journal-client";
import { dayAt, eventIdOfDelivery, type JournalKey, timeOfEventId } from "../events/journal-key";

/** The attempts for an organisation's events of one day. */
interface Group {
  organisationId: number;
  /** The deliveries whose attempt is not over yet. */
  open: Set<string>;
  waiting: Waiting[];
}

/** An attempt that is to be recorded, and who waits for that. */
interface Waiting {
  record: AttemptRecord;
  done: PromiseWithResolvers<void>;
}

/** The recorder of one batch. */
export class AttemptRecorder {
  readonly #journals: JournalClient;
  readonly #groups = new Map<string, Group>();
  #released = false;

  constructor(journals: JournalClient) {
    this.#journals = journals;
  }

  /** An attempt of this delivery begins: others of its group that end earlier wait for it, to be one write. */
  expect(key: DeliveryKey): void {
    this.#groupOf(key).open.add(key.id);
  }

  /** Nobody waits for this delivery any more: its message is done, whether or not an attempt was recorded. */
  over(key: DeliveryKey): void {
    this.#arrived(this.#groupOf(key), key.id);
  }

  /** From now on no attempt waits for others, so that a slow receiver does not hold up the records of fast ones. */
  release(): void {
    this.#released = true;
    for (const group of this.#groups.values()) this.#flush(group);
  }

  /**
   * Records an attempt, and resolves when it is recorded.
   * @throws UnavailableError when its journal cannot be reached
   */
  record(organisationId: number, record: AttemptRecord): Promise<void> {
    const group = this.#groupOf({ organisationId, id: record.deliveryId });
    const done = Promise.withResolvers<void>();
    group.waiting.push({ record, done });
    this.#arrived(group, record.deliveryId);
    return done.promise;
  }

  #arrived(group: Group, id: string): void {
    group.open.delete(id);
    if (group.open.size === 0 || this.#released) this.#flush(group);
  }

  #flush(group: Group): void {
    const waiting = group.waiting.splice(0);
    if (waiting.length > 0) void this.#tellAll(group.organisationId, waiting);
  }

  /** Never throws: whoever waits for a record is told. */
  async #tellAll(organisationId: number, waiting: Waiting[]): Promise<void> {
    await settle(waiting, async () => {
      const groups = await this.#journals.groupByJournal(organisationId, waiting, ({ record }) =>
        eventIdOfDelivery(record.deliveryId),
      );
      // Each by itself: where a day has several journals, and one cannot be reached, only its attempts are repeated.
      await Promise.all(groups.map(({ key, items }) => this.#tell(key, items)));
    });
  }

  #tell(key: JournalKey, waiting: Waiting[]): Promise<void> {
    const records = waiting.map(({ record }) => record);
    return settle(waiting, () =>
      this.#journals.call(key, (journal) => journal.recordAttempts(records)),
    );
  }

  #groupOf({ organisationId, id }: DeliveryKey): Group {
    const day = dayAt(timeOfEventId(eventIdOfDelivery(id)));
    const name = `${organisationId} ${day}`;
    const group = this.#groups.get(name) ?? { organisationId, open: new Set(), waiting: [] };
    this.#groups.set(name, group);
    return group;
  }
}

/** Tells all that wait what came of the work. Those that were told before stay so. Never throws. */
async function settle(waiting: readonly Waiting[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
    for (const { done } of waiting) done.resolve();
  } catch (error) {
    for (const { done } of waiting) done.reject(error);
  }
}
