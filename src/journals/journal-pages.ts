/** Pages of one journal: events and deliveries, filtered row by row, in a bounded number of rows. */
import { isListed } from "../events/delivery-filter";
import type { StoredDelivery } from "../events/delivery-record";
import { type SummarisedEvent, summarise } from "../events/delivery-summary";
import { withHyphens } from "../events/event";
import { matchesPattern } from "../events/event-types";
import type {
  DeliveryPageQuery,
  EventPageQuery,
  JournalPage,
  UndeliveredQuery,
} from "../events/journal-calls";
import { eventIdOfDelivery, firstEventIdAt, hexOf } from "../events/journal-key";
import type { JournalStore, ReadEvent } from "./journal-store";
import { isUndelivered } from "./stored-delivery";

/** A page of events, newest first, each with a summary of its deliveries. */
export function pageOfEvents(
  store: JournalStore,
  query: EventPageQuery,
): JournalPage<SummarisedEvent> {
  const { above, below, since, until, state, limit, mostRows } = query;
  const rows: SummarisedEvent[] = [];
  const range = {
    above: highest(above, since === null ? null : justBefore(since)),
    below: lowest(below, until === null ? null : firstEventIdAt(until)),
    newestFirst: true,
    undelivered: false,
  };
  let looked = 0;
  for (const event of store.scan(range)) {
    looked += 1;
    if (hasType(event.type, query)) {
      // Its data is unpacked only if it is shown.
      if (state === null || summarise(event.deliveries()).state === state) {
        const read = event.read();
        rows.push({ ...read.event, delivery: summarise(read.deliveries) });
      }
    }
    if (rows.length === limit || looked === mostRows) return { rows, next: event.id, looked };
  }
  return { rows, next: null, looked };
}

/** A page of deliveries, those of the newest events first. */
export function pageOfDeliveries(
  store: JournalStore,
  query: DeliveryPageQuery,
): JournalPage<StoredDelivery> {
  const { below, pattern, status, limit, mostRows } = query;
  const rows: StoredDelivery[] = [];
  // Deliveries that did not arrive have an index.
  const undelivered = status === "failed" || status === "discarded";
  let looked = 0;
  for (const event of store.scan({
    above: null,
    below: below === null ? null : justAfter(eventIdOfDelivery(below)),
    newestFirst: true,
    undelivered,
  })) {
    looked += 1;
    // The deliveries of other types are not even unpacked.
    if (pattern === null || matchesPattern(pattern, event.type)) {
      for (const delivery of event.deliveries().reverse()) {
        if (!isListed(delivery, query)) continue;
        rows.push(delivery);
        if (rows.length === limit) return { rows, next: delivery.id, looked };
      }
    }
    if (looked === mostRows) return { rows, next: beforeDeliveriesOf(event), looked };
  }
  return { rows, next: null, looked };
}

/** A page of what has not arrived, oldest events first. */
export function pageOfUndelivered(
  store: JournalStore,
  query: UndeliveredQuery,
): JournalPage<StoredDelivery> {
  const { above, since, until, pendingSince, limit, mostRows } = query;
  const rows: StoredDelivery[] = [];
  const change = Math.min(Math.max(pendingSince, since), until);
  let looked = 0;
  // First where an index says what did not arrive, then where each event has to be looked at.
  for (const [from, to, undelivered] of [
    [since, change, true],
    [change, until, false],
  ] as const) {
    const events = store.scan({
      above: highest(
        justBefore(from),
        above === null ? null : justBeforeId(eventIdOfDelivery(above)),
      ),
      below: firstEventIdAt(to),
      newestFirst: false,
      undelivered,
    });
    for (const event of events) {
      looked += 1;
      for (const delivery of event.deliveries()) {
        if (above !== null && delivery.id <= above) continue;
        const waits = !undelivered && delivery.nextAttemptAt !== null;
        if (!waits && !isUndelivered(delivery)) continue;
        rows.push(delivery);
        if (rows.length === limit) return { rows, next: delivery.id, looked };
      }
      if (looked === mostRows) return { rows, next: afterDeliveriesOf(event), looked };
    }
  }
  return { rows, next: null, looked };
}

/** A type is tested by its pattern, and by its parts before and after its first dot. */
function hasType(
  type: string,
  { pattern, subject, action }: Pick<EventPageQuery, "pattern" | "subject" | "action">,
): boolean {
  const dot = type.indexOf(".");
  return (
    (pattern === null || matchesPattern(pattern, type)) &&
    (subject === null || type.slice(0, dot) === subject) &&
    (action === null || type.slice(dot + 1) === action)
  );
}

/** An id below all deliveries of an event, and above those of earlier ones. */
function beforeDeliveriesOf({ id }: ReadEvent): string {
  return `whd_${hexOf(id)}_000000000000`;
}

/** An id above all deliveries of an event, and below those of later ones. */
function afterDeliveriesOf({ id }: ReadEvent): string {
  return `whd_${hexOf(id)}_ffffffffffff`;
}

/** The largest text that could be an id and is smaller than all ids of this moment (Unix milliseconds). */
function justBefore(time: number): string {
  return justBeforeId(firstEventIdAt(time));
}

function justBeforeId(id: string): string {
  return moved(id, -1n);
}

function justAfter(id: string): string {
  return moved(id, 1n);
}

/** The id that many places further in the order of ids. */
function moved(id: string, places: bigint): string {
  const value = BigInt(`0x${hexOf(id)}`) + places;
  return withHyphens((value < 0n ? 0n : value).toString(16).padStart(32, "0"));
}

function highest(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one > other ? one : other;
}

function lowest(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}
