/**
 * How the rest of the Worker calls journals, and what happens when a journal cannot be reached.
 * `JournalCalls` says what each call does.
 */
import { type Database, openDatabase } from "../db/open";
import { readConfig } from "../platform/config";
import { sideBySide } from "../platform/side-by-side";
import { UnavailableError } from "../platform/unavailable";
import { withTimeout } from "../platform/wait";
import type { RecordedEvent } from "./delivery-record";
import type { DomainEvent } from "./event";
import type { JournalCalls } from "./journal-calls";
import { findJournalCounts } from "./journal-counts";
import {
  dayAt,
  isDayOver,
  isEventId,
  type JournalKey,
  journalCountAt,
  journalName,
  journalOfEvent,
  timeOfEventId,
} from "./journal-key";

/** The most events that one call records. */
const EVENTS_PER_CALL = 200;
/** How many journals are called side by side. An invocation may have six connections. */
const JOURNALS_AT_ONCE = 5;

/** The longest that anybody waits for a journal's answer. */
const CALL_MS = 10_000;
/** How long a call that changes endpoints waits until the journals are told of it. */
const TELL_MS = 2_000;

/** What came of telling journals of events. */
export interface RecordResult {
  recorded: DomainEvent[];
  /** One for each call that failed: its events are not in `recorded`. */
  failures: unknown[];
}

/** Finds and calls journals. Each call throws `UnavailableError` when a journal cannot be reached. */
export class JournalClient {
  readonly db: Database;
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
    this.db = openDatabase(env);
  }

  /**
   * Records events in their journals.
   * @throws when one of them is not recorded; then tell all of them again
   */
  async record(events: readonly DomainEvent[]): Promise<void> {
    const { failures } = await this.recordEach(events);
    if (failures.length > 0) throw failures[0];
  }

  /** As `record`, but says which events are recorded: a journal that fails does not stop the others. */
  async recordEach(events: readonly DomainEvent[]): Promise<RecordResult> {
    const result: RecordResult = { recorded: [], failures: [] };
    const byOrganisation = Map.groupBy(events, ({ organisationId }) => organisationId);
    const calls: { key: JournalKey; some: DomainEvent[] }[] = [];
    const grouped = await Promise.allSettled(
      [...byOrganisation].map(([id, own]) => this.groupByJournal(id, own, (event) => event.id)),
    );
    for (const outcome of grouped) {
      if (outcome.status === "rejected") {
        result.failures.push(outcome.reason);
        continue;
      }
      for (const { key, items } of outcome.value) {
        for (let i = 0; i < items.length; i += EVENTS_PER_CALL)
          calls.push({ key, some: items.slice(i, i + EVENTS_PER_CALL) });
      }
    }
    const done = await sideBySide(calls, JOURNALS_AT_ONCE, async ({ key, some }) => {
      await this.call(key, (journal) => journal.record(some));
      return some;
    });
    for (const outcome of done) {
      if (outcome.status === "fulfilled") result.recorded.push(...outcome.value);
      else result.failures.push(outcome.reason);
    }
    return result;
  }

  /** Groups things of an organisation, such as deliveries, by the journal of the event that each is about. */
  async groupByJournal<T>(
    organisationId: number,
    items: readonly T[],
    eventIdOf: (item: T) => string,
  ): Promise<{ key: JournalKey; items: T[] }[]> {
    const counts = await findJournalCounts(this.db, organisationId, Date.now());
    const groups = new Map<string, { key: JournalKey; items: T[] }>();
    for (const item of items) {
      const key = journalOfEvent(organisationId, eventIdOf(item), counts);
      const name = journalName(key);
      const group = groups.get(name) ?? { key, items: [] };
      group.items.push(item);
      groups.set(name, group);
    }
    return [...groups.values()];
  }

  /** An event of an organisation, with its deliveries. For an id that no event can have, no journal is called. */
  async find(organisationId: number, eventId: string): Promise<RecordedEvent | null> {
    if (!this.mayHold(eventId)) return null;
    const key = await this.journalOf(organisationId, eventId);
    const [found] = await this.call(key, (journal) => journal.find([eventId]));
    return found ?? null;
  }

  /** Whether there can be an event with this id: retention has not dropped its day, and the day has come. */
  mayHold(eventId: string): boolean {
    const now = Date.now();
    const day = dayAt(timeOfEventId(eventId));
    const { retentionDays } = readConfig(this.#env);
    // Clocks differ, so an event may be of tomorrow.
    return isEventId(eventId) && day <= dayAt(now) + 1 && !isDayOver(day, retentionDays, now);
  }

  /** The journal of an event. */
  async journalOf(organisationId: number, eventId: string): Promise<JournalKey> {
    const counts = await findJournalCounts(this.db, organisationId, Date.now());
    return journalOfEvent(organisationId, eventId, counts);
  }

  /**
   * Tells the journals of today that the organisation's endpoints have changed. Never throws: a journal that
   * is not told reads them again ten seconds later at most.
   */
  async endpointsChanged(organisationId: number, now: number): Promise<void> {
    try {
      const counts = await findJournalCounts(this.db, organisationId, now);
      const numbers = Array.from({ length: journalCountAt(counts, now) }, (_, number) => number);
      const calls = numbers.map((number) =>
        this.call({ organisationId, day: dayAt(now), number }, (journal) =>
          journal.endpointsChanged(),
        ),
      );
      await withTimeout(TELL_MS, Promise.allSettled(calls));
    } catch {
      // The journals read the endpoints again by themselves.
    }
  }

  /**
   * Calls a journal, once more if it could not be reached: all calls may run twice. What its own code threw,
   * because D1 or a queue of deliveries failed, is not tried again at once.
   * @param limitMs how long to wait for both calls together, in milliseconds. The call may still be done later
   */
  async call<T>(
    key: JournalKey,
    work: (journal: JournalCalls) => Promise<T>,
    limitMs = CALL_MS,
  ): Promise<T> {
    return withTimeout(limitMs, this.#tryTwice(key, work)).catch((error) => {
      throw unavailable(error);
    });
  }

  async #tryTwice<T>(key: JournalKey, work: (journal: JournalCalls) => Promise<T>): Promise<T> {
    const stub = () => this.#env.JOURNALS.getByName(journalName(key)) as unknown as JournalCalls;
    try {
      return await work(stub());
    } catch (error) {
      if (!isWorthAnother(error as StubError)) throw error;
      return work(stub());
    }
  }
}

/** What a call of an object throws. */
type StubError = Error & { remote?: boolean; retryable?: boolean; overloaded?: boolean };

function isWorthAnother({ remote, retryable, overloaded }: StubError): boolean {
  return overloaded !== true && (retryable === true || remote !== true);
}

function unavailable(error: StubError): UnavailableError {
  return new UnavailableError(`journal failed: ${String(error)}`, error.overloaded ? 5 : 2);
}
