/**
 * The calls of a journal's object, with what they take and give. `JournalClient` makes them. Arguments and
 * answers are plain values: RPC clones them. All calls may run twice, because a caller who gets no answer calls
 * again. A call that only reads leaves nothing behind where there was no journal.
 */
import type {
  AttemptRecord,
  DeliveryStatus,
  RecordedEvent,
  StoredDelivery,
} from "./delivery-record";
import type { SummarisedEvent } from "./delivery-summary";
import type { DomainEvent } from "./event";

/** The calls of a journal's object. */
export interface JournalCalls {
  /**
   * Records events, each once, with a delivery for each address that wants it, and puts the first attempts
   * on the queues of deliveries. When it answers, all of that is done; when it throws, repeat it. Events of a
   * day that retention has dropped are discarded, and the log says so. A full journal records no more, and
   * throws.
   */
  record(events: readonly DomainEvent[]): Promise<void>;
  /** Records an event whose only delivery was attempted already: the test of an endpoint. */
  recordAttempted(event: DomainEvent, delivery: StoredDelivery): Promise<void>;
  /** The organisation's endpoints have changed: the journal reads them again before the next event. */
  endpointsChanged(): Promise<void>;
  /** The events with these ids, as far as they are recorded here. */
  find(eventIds: readonly string[]): Promise<RecordedEvent[]>;
  /**
   * A page of the events of this journal, newest first. The deliveries are summarised: with all of their
   * attempts a page could be larger than an answer of RPC may be.
   */
  listEvents(query: EventPageQuery): Promise<JournalPage<SummarisedEvent>>;
  /** A page of the deliveries of this journal, those of the newest events first. */
  listDeliveries(query: DeliveryPageQuery): Promise<JournalPage<StoredDelivery>>;
  /** A page of the deliveries that have not arrived, oldest events first: for recoveries. */
  listUndelivered(query: UndeliveredQuery): Promise<JournalPage<StoredDelivery>>;
  /** Records what came of attempts: one write for each event. An attempt that is recorded already changes nothing. */
  recordAttempts(records: readonly AttemptRecord[]): Promise<void>;
  /**
   * Marks a delivery as failed, because the message for this attempt of its schedule (from 1) was lost. Only
   * if that is its next attempt: otherwise the message for another one is still under way.
   */
  giveUp(deliveryId: string, attempt: number): Promise<void>;
  /** Removes everything. */
  drop(): Promise<void>;
}

/** Where a page of one journal begins and how far it goes. */
interface PageBounds {
  limit: number;
  /** The most rows that are looked at. */
  mostRows: number;
}

/** The filters of a page of events. Null: no filter. */
export interface EventPageQuery extends PageBounds {
  /** Only events with a smaller id. */
  below: string | null;
  /** Only events with a larger id. */
  above: string | null;
  /** Unix milliseconds: half-open. */
  since: number | null;
  until: number | null;
  /** The name of a type, or the beginning of a name and then `.*`. */
  pattern: string | null;
  /** The part of the type before its first dot, and the part after it. */
  subject: string | null;
  action: string | null;
  /** The state of the deliveries together: see `summarise`. */
  state: "pending" | "delivered" | "failed" | null;
}

/** The filters of a page of deliveries. Null: no filter. */
export interface DeliveryPageQuery extends PageBounds {
  /** Only deliveries with a smaller id. */
  below: string | null;
  endpointId: string | null;
  pattern: string | null;
  status: DeliveryStatus | null;
}

/** Which deliveries a recovery looks for. */
export interface UndeliveredQuery extends PageBounds {
  /** Only deliveries with a larger id. */
  above: string | null;
  /** Of events from then (Unix milliseconds) until before then. */
  since: number;
  until: number;
  /**
   * Deliveries of events from then on may still wait for an attempt of their schedule, and are found too.
   * Earlier ones cannot: of those an index holds what did not arrive.
   */
  pendingSince: number;
}

/** A page of one journal. */
export interface JournalPage<R> {
  rows: R[];
  /** The id after which the next page begins; null: the journal has no more. */
  next: string | null;
  /** How many rows were looked at. */
  looked: number;
}
