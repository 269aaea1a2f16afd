/**
 * Pages that are asked for by number, as vendors' clients do. SQL reads and skips every row before such a page.
 * So a page that is deep in its list is read from the nearest place that is known: where a page that this isolate
 * has read lately ended, or the end of the list.
 */
import { dropOldest } from "../platform/bounded-memory";

/** So many rows are skipped from the beginning of a list: up to there, a page is what its number says. */
export const SKIPPED_ROWS = 1_000;
/** The most rows that are skipped for a page. So any page of a list of twice as many can be read. */
export const MOST_SKIPPED_ROWS = 500_000;
/** How long a place is used. Meanwhile rows before it may have come or gone, as they may between two pages. */
const KNOWN_FOR_MS = 60_000;
/** Lists of which an isolate remembers places, and how many of each. */
const LISTS = 1_000;
const PLACES = 8;

/** Which page of which list. */
export interface NumberedPage {
  /** Names the list, with its organisation and its filters. */
  list: string;
  /** How many rows are before the page. */
  offset: number;
  limit: number;
  /** Unix milliseconds. */
  now: number;
}

/** How a page is read. */
export interface PageReading<K> {
  /** Begin behind the row with this key; null: at the beginning of the list, or at its end. */
  after: K | null;
  /** Read the list from its end: `skip` counts from there. The rows are returned in the order of the list. */
  fromEnd: boolean;
  skip: number;
  limit: number;
}

/** What a list does for its pages. `K` is the key of a row, by which the list is ordered. */
interface ListReader<R, K> {
  read(reading: PageReading<K>): Promise<{ rows: R[]; total: number }>;
  /** How many rows the list has; null: nobody knows without counting them. */
  count: (() => Promise<number>) | null;
  keyOf(row: R): K;
}

/** Reads pages of a kind of list, and remembers where they ended. */
export class NumberedPages<K> {
  readonly #lists = new Map<string, { offset: number; key: K; at: number }[]>();

  /**
   * A page, and how many rows the list has. A page behind the end is empty. Null: the page is too deep in a list
   * that is too long.
   */
  async read<R>(
    page: NumberedPage,
    reader: ListReader<R, K>,
  ): Promise<{ rows: R[]; total: number } | null> {
    const { offset, limit } = page;
    let reading = this.#fromNearest(page);
    if (reading.skip > SKIPPED_ROWS && reader.count) {
      const total = await reader.count();
      if (offset >= total) return { rows: [], total };
      const skip = Math.max(0, total - offset - limit);
      const last = Math.min(limit, total - offset);
      if (skip < reading.skip) reading = { after: null, fromEnd: true, skip, limit: last };
    }
    if (reading.skip > MOST_SKIPPED_ROWS) return null;
    const found = await reader.read(reading);
    const last = found.rows.at(-1);
    if (last && found.rows.length === limit) this.#remember(page, reader.keyOf(last));
    return found;
  }

  #fromNearest({ list, offset, limit, now }: NumberedPage): PageReading<K> {
    const start: PageReading<K> = { after: null, fromEnd: false, skip: offset, limit };
    if (offset <= SKIPPED_ROWS) return start;
    for (const place of this.#lists.get(list) ?? []) {
      const age = now - place.at;
      if (age < 0 || age >= KNOWN_FOR_MS || place.offset > offset) continue;
      const skip = offset - place.offset;
      if (skip < start.skip) Object.assign(start, { after: place.key, skip });
    }
    return start;
  }

  #remember({ list, offset, limit, now }: NumberedPage, key: K): void {
    const next = offset + limit;
    // A page that begins so early is read from the beginning.
    if (next <= SKIPPED_ROWS) return;
    const others = (this.#lists.get(list) ?? []).filter((place) => place.offset !== next);
    this.#lists.delete(list);
    this.#lists.set(list, [...others.slice(1 - PLACES), { offset: next, key, at: now }]);
    dropOldest(this.#lists, LISTS);
  }
}
