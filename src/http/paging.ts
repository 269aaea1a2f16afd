/** Keyset paging of `/v1` lists over integer ids, newest first: a page costs a page. */
import { z } from "zod";

const limitRule = "must be a whole number from 1 to 100";

/** `limit` and `cursor`; a cursor is what `next_cursor` said, and nothing else. */
export const cursorQuery = z
  .strictObject({
    limit: z
      .string()
      .regex(/^[0-9]{1,3}$/, limitRule)
      .transform(Number)
      .refine((n) => n >= 1 && n <= 100, limitRule)
      .default(30),
    cursor: z
      .string()
      .regex(/^[0-9]{1,15}$/, "must be a next_cursor of this list")
      .transform(Number)
      .nullable()
      .default(null),
  })
  .transform(({ limit, cursor }) => ({ limit, after: cursor }));

/**
 * A page of a list.
 * @param rows one more than `limit` where there are more
 */
export function toPage<R extends { id: number }, W>(
  rows: readonly R[],
  limit: number,
  toWire: (row: R) => W,
): { data: W[]; next_cursor: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const more = rows.length > limit && last;
  return { data: page.map(toWire), next_cursor: more ? String(last.id) : null };
}
