/** The queries of this surface's lists: filters by name, dates with bounds, cursors by id. */
import { z } from "zod";
import { validate } from "../../http/body";
import type { Call } from "../../http/request-context";
import { integerIdText, wholeNumberText } from "../../http/whole-numbers";

/** A page as it is asked for: after one id (exclusive) and before another, from the newest. */
export interface PageQuery<Id> {
  after: Id | null;
  before: Id | null;
  limit: number;
}

/** Half-open, Unix milliseconds; null: no bound. */
export interface DateRange {
  from: number | null;
  until: number | null;
}

const COMPARISONS = ["", "[gt]", "[gte]", "[lt]", "[lte]"] as const;

const limit = wholeNumberText(1, 1_000, 4).default(10);

/** An id of users, sources and keys. */
export const integerId = integerIdText("must be an id: a whole number");

/** An id that is a text of this form. */
export function textId(form: RegExp) {
  return z.string().regex(form, "must be an id of this list");
}

/** What a list can be asked. */
export interface ListShape<F extends z.ZodRawShape, Id> {
  filters: F;
  /** Names of the filters by date. */
  dates: readonly string[];
  /** Names of the filters that may be repeated: their schema gets an array. */
  repeatable?: readonly string[];
  id: z.ZodType<Id, string>;
}

/** What a list was asked. */
export interface ListQuery<F extends z.ZodRawShape, Id> {
  filter: z.output<z.ZodObject<F>>;
  /** Of each filter by date. */
  dateRange(name: string): DateRange;
  page: PageQuery<Id>;
}

/**
 * Reads the query of a list. Of a repeated parameter that may not be, the last counts.
 * @throws Refused 400 naming every parameter that is wrong or unknown
 */
export function readListQuery<F extends z.ZodRawShape, Id>(
  c: Call,
  shape: ListShape<F, Id>,
): ListQuery<F, Id> {
  const { searchParams } = new URL(c.req.url);
  const asked = [...new Set(searchParams.keys())].map((name) => {
    const values = searchParams.getAll(name);
    return [name, shape.repeatable?.includes(name) ? values : values.at(-1)] as const;
  });
  const dates = shape.dates.flatMap((name) =>
    COMPARISONS.map(
      (comparison) => [`${name}${comparison}`, bound(comparison).optional()] as const,
    ),
  );
  const page = { limit, after_id: shape.id.optional(), before_id: shape.id.optional() };
  const input = Object.fromEntries(asked);
  const schema = z.strictObject({ ...Object.fromEntries(dates), ...shape.filters, ...page });
  const all = validate(schema, input, "invalid-parameter") as Record<string, unknown> & {
    limit: number;
    after_id?: Id;
    before_id?: Id;
  };
  return {
    // Checked just now, together with the rest.
    filter: all as unknown as z.output<z.ZodObject<F>>,
    dateRange: (name) =>
      intersect(COMPARISONS.map((comparison) => all[`${name}${comparison}`] as DateRange)),
    page: { after: all.after_id ?? null, before: all.before_id ?? null, limit: all.limit },
  };
}

/** Dates on this wire are whole seconds, and so is what is compared: a bound is the edge of a second. */
function bound(comparison: (typeof COMPARISONS)[number]) {
  return z.iso
    .datetime({ offset: true, local: true, error: "must be a date like 2018-08-22T10:25:05Z" })
    .transform((text): DateRange => {
      // Without an offset a date is in UTC, as all dates here are.
      const time = Date.parse(/(?:Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);
      const second = Math.floor(time / 1_000) * 1_000;
      const next = second + 1_000;
      switch (comparison) {
        case "[gt]":
          return { from: next, until: null };
        case "[gte]":
          return { from: second, until: null };
        case "[lt]":
          return { from: null, until: second };
        case "[lte]":
          return { from: null, until: next };
        case "":
          return { from: second, until: next };
      }
    });
}

function intersect(ranges: readonly (DateRange | undefined)[]): DateRange {
  const froms = ranges.flatMap((range) => range?.from ?? []);
  const untils = ranges.flatMap((range) => range?.until ?? []);
  return {
    from: froms.length > 0 ? Math.max(...froms) : null,
    until: untils.length > 0 ? Math.min(...untils) : null,
  };
}
