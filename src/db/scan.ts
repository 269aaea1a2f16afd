/**
 * Pages of filtered lists whose filter has no index. An index would cost each stored row another one,
 * and a row written costs as much as a thousand that are read (prices of D1, November 2026): so a page
 * looks at so many rows and no more, and may come out short with more behind it.
 */

/** How many rows a page looks at. */
export const SCANNED_ROWS = 2_000;

/** A page, newest first; `next`: where the one after it begins, null at the end. */
export interface ScannedPage<R> {
  rows: R[];
  next: string | null;
}

/**
 * Reads a page.
 * @param findEdge the id of the `SCANNED_ROWS`th row of the range, null where there are fewer; null
 *   itself where nothing is filtered
 * @param read what matches from this id on (null: all), newest first, and at most so many
 */
export async function scanPage<R extends { id: string }>(
  limit: number,
  findEdge: (() => Promise<string | null>) | null,
  read: (from: string | null, most: number) => Promise<R[]>,
): Promise<ScannedPage<R>> {
  const edge = findEdge ? await findEdge() : null;
  const found = await read(edge, limit + 1);
  const rows = found.slice(0, limit);
  const last = found.length > limit ? rows.at(-1) : undefined;
  return { rows, next: last?.id ?? edge };
}
