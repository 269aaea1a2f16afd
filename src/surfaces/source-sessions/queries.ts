/**
 * The queries of ricloud's lists: filters, date ranges such as `date_created[gt]`, and the page. The
 * operations of lists have them.
 */
import * as z from "zod";
import { integerIdText, wholeNumberText } from "../../http/whole-numbers";

/** How lists of this format go on, for their descriptions. */
export const LISTS =
  "If `has_more` is true, there is another page: ask again with `next_after_id` as `after_id`, or with the last `id` where there is no `next_after_id`.";

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

/** What may stand behind the name of a date parameter, and what it then says of the date of a row. */
const COMPARISONS = {
  "": "in this second",
  "[gt]": "after this second",
  "[gte]": "in this second or after it",
  "[lt]": "before this second",
  "[lte]": "in this second or before it",
} as const;

type Comparison = keyof typeof COMPARISONS;

const comparisons = Object.keys(COMPARISONS) as Comparison[];

const limit = wholeNumberText(1, 1_000, 4)
  .default(10)
  .meta({ description: "How many rows the page has at most.", default: 10 });

/** An id of users, sources and keys. */
export const integerId = integerIdText("must be an id: a whole number");

/** The schema of an id that is a text of this form. */
export function textId(form: RegExp) {
  return z.string().regex(form, "must be an id of this list");
}

/** Which parameters a list takes. */
export interface ListShape<F extends z.ZodRawShape, Id> {
  /** A filter whose schema is an array may be repeated. */
  filters: F;
  /** For each parameter that filters by date: the date of a row that it is about, such as `was made`. */
  dates: Readonly<Record<string, string>>;
  id: z.ZodType<Id, string>;
}

/** The parameters of a list, as they were read. */
export interface ListQuery<F extends z.ZodRawShape, Id> {
  filter: z.output<z.ZodObject<F>>;
  /** The range of the date parameter with this name. */
  dateRange(name: string): DateRange;
  page: PageQuery<Id>;
}

/** The schema of a list's query. A parameter that the list does not have is refused. */
export function listQuery<F extends z.ZodRawShape, Id>(shape: ListShape<F, Id>) {
  const dates = Object.entries(shape.dates).flatMap(([name, what]) =>
    comparisons.map((comparison) => {
      const description = `Only what ${what} ${COMPARISONS[comparison]}.`;
      return [`${name}${comparison}`, bound(comparison).meta({ description }).optional()] as const;
    }),
  );
  const page = {
    limit,
    after_id: shape.id.optional().meta({
      description: "The page begins after the row with this id, with the next older one.",
    }),
    before_id: shape.id
      .optional()
      .meta({ description: "The page ends before the row with this id." }),
  };
  return z
    .strictObject({ ...Object.fromEntries(dates), ...shape.filters, ...page })
    .transform((parsed): ListQuery<F, Id> => {
      // The compiler cannot follow a shape that is put together from parts.
      const all = parsed as unknown as Record<string, unknown> & {
        limit: number;
        after_id?: Id;
        before_id?: Id;
      };
      return {
        filter: all as unknown as z.output<z.ZodObject<F>>,
        dateRange: (name) =>
          intersect(comparisons.map((comparison) => all[`${name}${comparison}`] as DateRange)),
        page: { after: all.after_id ?? null, before: all.before_id ?? null, limit: all.limit },
      };
    });
}

/**
 * The range that one date parameter stands for. Dates on this wire are whole seconds, so a range begins
 * and ends at a second.
 */
function bound(comparison: Comparison) {
  return (
    z.iso
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
      })
      // Not `date-time`: the offset may be left out.
      .meta({ pattern: DATE, example: "2018-08-22T10:25:05Z" })
  );
}

/** What every date has that is accepted. Zod's own pattern knows leap years too, and nobody can read it. */
const DATE = "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?(Z|[+-]\\d{2}:\\d{2})?$";

function intersect(ranges: readonly (DateRange | undefined)[]): DateRange {
  const froms = ranges.flatMap((range) => range?.from ?? []);
  const untils = ranges.flatMap((range) => range?.until ?? []);
  return {
    from: froms.length > 0 ? Math.max(...froms) : null,
    until: untils.length > 0 ? Math.min(...untils) : null,
  };
}
