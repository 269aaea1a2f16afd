/**
 * Lists over journals: a page of events or deliveries reads the journals of the newest days first, as many
 * as it needs. A page looks at a limited number of rows and journals, so that no list takes long. So it can have
 * fewer rows than asked for, and still not be the last page.
 */
import { isListed } from "./delivery-filter";
import type { StoredDelivery } from "./delivery-record";
import { type SummarisedEvent, summarise } from "./delivery-summary";
import type { DeliveryPageQuery, EventPageQuery, JournalCalls, JournalPage } from "./journal-calls";
import type { JournalClient } from "./journal-client";
import {
  DAY_MS,
  dayAt,
  eventIdOfDelivery,
  firstDeliveryAt,
  firstEventIdAt,
  type JournalKey,
  MAX_JOURNAL_COUNT,
  timeOfEventId,
} from "./journal-key";
import { type DayRange, listJournals } from "./journal-registry";
import { mergePages } from "./merged-page";

/** How many rows a page looks at, at most. (In a day with several journals, up to one more in each.) */
export const LOOKED_ROWS = 2_000;
/** How many journals a page reads, at most. All journals of a day are read together: up to `MAX_JOURNAL_COUNT`. */
export const READ_JOURNALS = 64;

/** A page, newest first. `next` is the id after which the next page begins. Null: this is the last page. */
export interface ScannedPage<R> {
  rows: R[];
  next: string | null;
}

/** The filters of a list, without where it ends. */
export type EventFilter = Omit<EventPageQuery, "mostRows">;

/** A page of an organisation's events, newest first, each with a summary of its deliveries. */
export async function listEvents(
  journals: JournalClient,
  organisationId: number,
  filter: EventFilter,
): Promise<ScannedPage<SummarisedEvent>> {
  const { below, above, since, until } = filter;
  const earliest = [above === null ? [] : timeOfEventId(above), since ?? []].flat();
  const latest = [
    below === null ? [] : timeOfEventId(below),
    until === null ? [] : until - 1,
  ].flat();
  const range = {
    from: earliest.length === 0 ? null : dayAt(Math.max(...earliest)),
    until: latest.length === 0 ? null : dayAt(Math.min(...latest)),
  };
  return readPage(journals, organisationId, {
    range,
    below,
    limit: filter.limit,
    idAt: firstEventIdAt,
    read: (journal, bounds) => journal.listEvents({ ...filter, ...bounds }),
  });
}

/** The filters of a list of deliveries, and where the page begins. Null: no filter. */
export interface DeliveryFilter extends Omit<DeliveryPageQuery, "mostRows"> {
  /** Only deliveries of this event: they are in one journal. */
  eventId: string | null;
}

/** A page of an organisation's deliveries, those of the newest events first. */
export async function listDeliveries(
  journals: JournalClient,
  organisationId: number,
  { eventId, ...filter }: DeliveryFilter,
): Promise<ScannedPage<StoredDelivery>> {
  if (eventId !== null) {
    const found = await journals.find(organisationId, eventId);
    return pageOfEvent(found?.deliveries ?? [], filter);
  }
  const { below } = filter;
  const until = below === null ? null : dayAt(timeOfEventId(eventIdOfDelivery(below)));
  return readPage(journals, organisationId, {
    range: { from: null, until },
    below,
    limit: filter.limit,
    // In the form of a delivery's id: callers get it as a cursor, and send it back.
    idAt: (time) => `${firstDeliveryAt(time)}_000000000000`,
    read: (journal, bounds) => journal.listDeliveries({ ...filter, ...bounds }),
  });
}

/** A page of the deliveries of one event. */
function pageOfEvent(
  deliveries: readonly StoredDelivery[],
  query: Omit<DeliveryPageQuery, "mostRows">,
): ScannedPage<StoredDelivery> {
  const found = deliveries
    .filter((one) => isListed(one, query))
    .toSorted((a, b) => (a.id < b.id ? 1 : -1));
  const rows = found.slice(0, query.limit);
  return { rows, next: found.length > query.limit ? (rows.at(-1)?.id ?? null) : null };
}

/** An event of an organisation, with a summary of its deliveries. */
export async function findEvent(
  journals: JournalClient,
  organisationId: number,
  id: string,
): Promise<SummarisedEvent | null> {
  const found = await journals.find(organisationId, id);
  return found && { ...found.event, delivery: summarise(found.deliveries) };
}

/** A delivery of an organisation. */
export async function findDelivery(
  journals: JournalClient,
  organisationId: number,
  id: string,
): Promise<StoredDelivery | null> {
  const found = await journals.find(organisationId, eventIdOfDelivery(id));
  return found?.deliveries.find((delivery) => delivery.id === id) ?? null;
}

type Bounds = Pick<DeliveryPageQuery, "below" | "limit" | "mostRows">;

/** How a page is read. */
interface PageReading<R> {
  range: DayRange;
  below: string | null;
  limit: number;
  /** All rows with a smaller id are from before this moment (Unix milliseconds). */
  idAt: (time: number) => string;
  read: (journal: JournalCalls, bounds: Bounds) => Promise<JournalPage<R>>;
}

async function readPage<R extends { id: string }>(
  client: JournalClient,
  organisationId: number,
  { range, below, limit, idAt, read }: PageReading<R>,
): Promise<ScannedPage<R>> {
  const most = READ_JOURNALS + MAX_JOURNAL_COUNT;
  let { until } = range;
  // A cursor at the beginning of a day means that this day is done.
  if (below !== null && until !== null && below <= idAt(until * DAY_MS)) until -= 1;
  const found = await listJournals(client.db, organisationId, { ...range, until }, most);
  const days = [...Map.groupBy(found, ({ day }) => day)];
  // The last one may not be there with all of its journals.
  if (found.length === most) days.pop();
  const rows: R[] = [];
  let looked = 0;
  let opened = 0;
  for (const [day, journals] of days) {
    const endOfDay = idAt((day + 1) * DAY_MS);
    if (opened > 0 && opened + journals.length > READ_JOURNALS) return { rows, next: endOfDay };
    opened += journals.length;
    let from: string | null = below !== null && below < endOfDay ? below : endOfDay;
    do {
      if (rows.length === limit || looked >= LOOKED_ROWS) return { rows, next: from };
      const bounds: Bounds = {
        below: from,
        limit: limit - rows.length + 1,
        mostRows: Math.ceil((LOOKED_ROWS - looked) / journals.length),
      };
      const pages: JournalPage<R>[] = await Promise.all(
        journals.map((key: JournalKey) => client.call(key, (journal) => read(journal, bounds))),
      );
      looked += pages.reduce((sum, page) => sum + page.looked, 0);
      const merged = mergePages(pages, limit - rows.length);
      rows.push(...merged.rows);
      from = merged.next;
    } while (from !== null);
  }
  // There are more journals than those that were asked for.
  const last = found.length === most ? days.at(-1)?.[0] : undefined;
  return { rows, next: last === undefined ? null : idAt(last * DAY_MS) };
}
