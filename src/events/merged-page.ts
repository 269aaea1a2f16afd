/** Makes one page of the pages of several journals of the same day. Pure. */
import type { JournalPage } from "./journal-calls";

/** A page, newest first, and how far it is complete. */
export interface MergedPage<R> {
  rows: R[];
  /** The id after which the next page begins; null: none of the journals has more. */
  next: string | null;
}

/**
 * Merges pages that begin at the same id, each newest first.
 * @param pages of each journal its next page: all of its rows down to the page's `next`
 * @param limit the most rows of the merged page
 */
export function mergePages<R extends { id: string }>(
  pages: readonly JournalPage<R>[],
  limit: number,
): MergedPage<R> {
  const ends = pages.flatMap(({ next }) => next ?? []);
  // Below the highest of these ids a journal may have rows that were not read yet.
  const complete = ends.reduce<string | null>((a, b) => (a === null || b > a ? b : a), null);
  const rows = pages
    .flatMap((page) => page.rows)
    .filter(({ id }) => complete === null || id >= complete)
    .sort((a, b) => (a.id < b.id ? 1 : -1));
  if (rows.length <= limit) return { rows, next: complete };
  const first = rows.slice(0, limit);
  return { rows: first, next: first.at(-1)?.id ?? complete };
}
