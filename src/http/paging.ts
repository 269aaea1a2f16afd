/**
 * Pages of the lists on `/v1`, newest first. A cursor names the row after which a page begins, so D1 reads
 * no more rows than it returns. Called by the operations and schemas of `/v1`.
 */
import * as z from "zod";
import { INTEGER_ID, wholeNumberText } from "./whole-numbers";

/** The schema of `limit`. */
export const pageLimit = wholeNumberText(1, 100, 3)
  .default(30)
  .meta({ description: "How many rows the page has at most." });

/** The schema of `cursor`: only a `next_cursor` of the same list has this form. */
export function pageCursor(form: RegExp) {
  return z
    .string()
    .regex(form, "must be a next_cursor of this list")
    .nullable()
    .default(null)
    .meta({ description: "The `next_cursor` of the page before. Left out: the first page." });
}

/** The schema of a page of a list whose rows have this schema. */
export function pageOf<S extends z.ZodType>(row: S) {
  return z
    .object({
      data: z.array(row),
      next_cursor: z
        .string()
        .nullable()
        .meta({ description: "The `cursor` of the next page; null: this is the last." }),
    })
    .meta(pageMeta(row));
}

/** What the description says of a page of these rows: a page of a `Device` is a `DevicePage`. */
export function pageMeta(row: z.ZodType): { id?: string } {
  const id = row.meta()?.id;
  return id === undefined ? {} : { id: `${id}Page` };
}

/**
 * A page of a list.
 * @param rows one more than `limit`, if the list goes on
 * @param cursorOf the cursor of the page that begins after this row
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

/** The query of a list whose ids are numbers. */
export const idPageQuery = z
  .strictObject({ limit: pageLimit, cursor: pageCursor(INTEGER_ID) })
  .transform(({ limit, cursor }) => ({ limit, after: cursor === null ? null : Number(cursor) }));

/** A page of a list whose ids are numbers. */
export function toIdPage<R extends { id: number }, W>(
  rows: readonly R[],
  limit: number,
  toWire: (row: R) => W,
): { data: W[]; next_cursor: string | null } {
  return toKeysetPage(rows, limit, ({ id }) => String(id), toWire);
}

/** Where a page of a list by time begins: after the row that was made then and has this id. */
export interface TimePosition {
  createdAt: number;
  id: string;
}

/** The cursor of the page that begins after this row, in a list by time. */
export function toTimeCursor({ createdAt, id }: TimePosition): string {
  return `${createdAt}.${id}`;
}

/** Reads what `toTimeCursor` wrote; null: the first page. */
export function readTimeCursor(cursor: string | null): TimePosition | null {
  const [createdAt, id] = cursor?.split(".") ?? [];
  return createdAt && id ? { createdAt: Number(createdAt), id } : null;
}
