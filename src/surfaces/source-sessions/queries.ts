/**
 * Reads the queries of ricloud's lists: filters, date ranges such as `date_created[gt]`, and the page.
 * Called by the list routes.
 */
import * as z from "zod";
import { validate } from "../../http/body";
import type { Call } from "../../http/request-context";
import { integerIdText, wholeNumberText } from "../../http/whole-numbers";

/** Which page is wanted: rows after one id and before another, both excluded, newest first. */
export interface PageQuery<Id> {
  after: Id | null;
  before: Id | null;
  limit: number;
}

/** `from` is included and `until` is not. Unix milliseconds; null: no bound. */
export interface DateRange {
  from: number | null;
  until: number | null;
}

const COMPARISONS = ["", "[gt]", "[gte]", "[lt]", "[lte]"] as const;

const limit = wholeNumberText(1, 1_000, 4).default(10);

/** An id of users, sources and keys. */
export const integerId = integerIdText("must be an id: a whole number");

/** The schema of an id that is a text of this form. */
export function textId(form: RegExp) {
  return z.string().regex(form, "must be an id of this list");
}

/** Which parameters a list takes. */
export interface ListShape<F extends z.ZodRawShape, Id> {
  filters: F;
  /** Names of the parameters that filter by date. */
  dates: readonly string[];
  /** Names of filters that may be repeated. Their schema gets an array. */
  repeatable?: readonly string[];
  id: z.ZodType<Id, string>;
}

/** The parameters of a list, as they were read. */
export interface ListQuery<F extends z.ZodRawShape, Id> {
  filter: z.output<z.ZodObject<F>>;
  /** The range of the date parameter with this name. */
  dateRange(name: string): DateRange;
  page: PageQuery<Id>;
}

/**
 * Reads the query of a list. If a parameter is repeated that may not be, the last one counts.
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
    // The schema above has checked these fields together with the rest.
    filter: all as unknown as z.output<z.ZodObject<F>>,
    dateRange: (name) =>
      intersect(COMPARISONS.map((comparison) => all[`${name}${comparison}`] as DateRange)),
    page: { after: all.after_id ?? null, before: all.before_id ?? null, limit: all.limit },
  };
}

/**
 * The range that one date parameter stands for. Dates on this wire are whole seconds, so a range begins
 * and ends at a second.
 */
function bound(comparison: (typeof COMPARISONS)[number]) {
  return z.iso
    .datetime({ offset: true, local: true, error: "must be a date like 2018-08-22T10:25:05Z" })
    .transform((text): DateRange => {
      // A date without an offset is in UTC.
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
