/**
 * Tells journals what came of attempts: those that end at about the same time, together. Attempts for the
 * same event then cost one write.
 */
import type { AttemptRecord } from "../events/delivery-record";
import type { JournalClient } from "../events/journal-client";
import { eventIdOfDelivery, type JournalKey, journalName } from "../events/journal-key";
import { pause } from "../platform/wait";

/** The recorder of one batch. */
export class AttemptRecorder {
  readonly #journals: JournalClient;
  readonly #waitMs: number;
  readonly #waiting = new Map<string, { records: AttemptRecord[]; recorded: Promise<void> }>();

  /** @param waitMs how long the first attempt of a journal waits for others */
  constructor(journals: JournalClient, waitMs: number) {
    this.#journals = journals;
    this.#waitMs = waitMs;
  }

  /**
   * Records an attempt, and resolves when it is recorded.
   * @throws UnavailableError when its journal cannot be reached
   */
  async record(organisationId: number, record: AttemptRecord): Promise<void> {
    const eventId = eventIdOfDelivery(record.deliveryId);
    const key = await this.#journals.journalOf(organisationId, eventId);
    const name = journalName(key);
    const waiting = this.#waiting.get(name);
    if (waiting) {
      waiting.records.push(record);
      return waiting.recorded;
    }
    const records = [record];
    const recorded = this.#recordTogether(name, key, records);
    this.#waiting.set(name, { records, recorded });
    return recorded;
  }

  async #recordTogether(name: string, key: JournalKey, records: AttemptRecord[]): Promise<void> {
    if (this.#waitMs > 0) await pause(this.#waitMs);
    else await Promise.resolve();
    this.#waiting.delete(name);
    await this.#journals.call(key, (journal) => journal.recordAttempts(records));
  }
}
