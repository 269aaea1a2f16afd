/** Keyset paging of `/v1` lists, newest first: a page costs a page. */
import { z } from "zod";
import { integerIdText, wholeNumberText } from "./whole-numbers";

/** A list's `limit`. */
export const pageLimit = wholeNumberText(1, 100, 3).default(30);

/** A list's `cursor`: what its `next_cursor` said, in the form that it gives them, and nothing else. */
export function pageCursor(form: RegExp) {
  return z.string().regex(form, "must be a next_cursor of this list").nullable().default(null);
}

/**
 * A page of a list.
 * @param rows one more than `limit` where there are more
 * @param cursorOf where the page after this row begins
 */
export function toKeysetPage<R, W>(
  rows: readonly R[],
  limit: number,
  cursorOf: (row: R) => string,
  toWire: (row: R) => W,
): { data: W[]; next_cursor: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { data: page.map(toWire), next_cursor: more ? cursorOf(last) : null };
}

/** Lists over integer ids: `limit` and `cursor`; a cursor is what `next_cursor` said, and nothing else. */
export const idPageQuery = z
  .strictObject({
    limit: pageLimit,
    cursor: integerIdText("must be a next_cursor of this list").nullable().default(null),
  })
  .transform(({ limit, cursor }) => ({ limit, after: cursor }));

/** A page of a list over integer ids. */
export function toIdPage<R extends { id: number }, W>(
  rows: readonly R[],
  limit: number,
  toWire: (row: R) => W,
): { data: W[]; next_cursor: string | null } {
  return toKeysetPage(rows, limit, ({ id }) => String(id), toWire);
}

/** Where a page of a list by time begins: behind the row that was made then and has this id. */
export interface TimePosition {
  createdAt: number;
  id: string;
}

/** The cursor of the page behind this row of a list by time. */
export function toTimeCursor({ createdAt, id }: TimePosition): string {
  return `${createdAt}.${id}`;
}

/** Reads what `toTimeCursor` wrote; null: the first page. */
export function readTimeCursor(cursor: string | null): TimePosition | null {
  const [createdAt, id] = cursor?.split(".") ?? [];
  return createdAt && id ? { createdAt: Number(createdAt), id } : null;
}
