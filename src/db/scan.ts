/**
 * Pages of lists that have a filter without an index. An index would cost one more written row for each stored
 * row, and a written row costs as much as a thousand read ones (prices of D1, November 2026). So a page looks
 * at a limited number of rows instead. It can have fewer rows than asked for, and still not be the last page.
 */

/** How many rows a page looks at, at most. */
export const SCANNED_ROWS = 2_000;
