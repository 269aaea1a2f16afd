/** Pages of ricloud's lists. The operations of lists call it. */
import * as z from "zod";
import { pageMeta } from "../../http/paging";
import type { PageQuery } from "./queries";

/** The schema of a page of a list: of its rows, and of their ids. */
export function listOf<R extends z.ZodType, I extends z.ZodType>(row: R, id: I) {
  return z
    .object({
      resource: z.literal("list"),
      data: z.array(row),
      has_more: z.boolean(),
      total_count: z
        .int()
        .nullable()
        .meta({ description: "How many rows the list has; null: only counting them would tell." }),
      url: z.string().meta({ description: "The path of the list." }),
      next_after_id: z.optional(id).meta({
        description:
          "The `after_id` of the next page, where this one may have ended before it was full.",
      }),
    })
    .meta(pageMeta(row));
}

/** A page of a list, and what is known of the rest. */
interface ListPage<T, Id> {
  data: readonly T[];
  hasMore: boolean;
  /** How many rows the whole list has; null: only counting them would tell. */
  total: number | null;
  /** The `after_id` of the next page, where this one may have ended before it was full. */
  stoppedAt?: Id | null | undefined;
}

/** A page of the list at this path, as `listOf` describes it. */
export function toList<T, Id = never>(
  url: string,
  { data, hasMore, total, stoppedAt = null }: ListPage<T, Id>,
): Page<T, Id> {
  const list = { resource: "list" as const, data, has_more: hasMore, total_count: total, url };
  return stoppedAt === null ? list : { ...list, next_after_id: stoppedAt };
}

interface Page<T, Id> {
  resource: "list";
  data: readonly T[];
  has_more: boolean;
  total_count: number | null;
  url: string;
  next_after_id?: Id;
}

/** The total of a list that is not counted: known only where one page holds all of it. */
export function totalOfOnePage(
  rows: number,
  hasMore: boolean,
  { after, before }: Pick<PageQuery<unknown>, "after" | "before">,
): number | null {
  return !hasMore && after === null && before === null ? rows : null;
}
