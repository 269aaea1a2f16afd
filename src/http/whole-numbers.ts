/** Whole numbers in bodies, queries and paths. The schemas of every surface and `paging.ts` call this. */
import * as z from "zod";

/** A number of a body. */
export function wholeNumber(least: number, most: number) {
  const rule = ruleOf(least, most);
  return z.int(rule).min(least, rule).max(most, rule);
}

/**
 * A number of a query, where all values are text.
 * @param digits how many digits it may have, zeros in front included
 */
export function wholeNumberText(least: number, most: number, digits = MAX_DIGITS) {
  const rule = ruleOf(least, most);
  return z
    .string()
    .regex(new RegExp(`^[0-9]{1,${digits}}$`), rule)
    .transform(Number)
    .refine((n) => n >= least && n <= most, rule)
    .meta({
      type: "integer",
      minimum: least,
      ...(most === Number.MAX_SAFE_INTEGER ? {} : { maximum: most }),
    });
}

/** An id of a query that is a number in D1, such as an API key's. */
export function integerIdText(rule: string) {
  return z.string().regex(INTEGER_ID, rule).transform(Number).meta({ type: "integer", minimum: 0 });
}

/** An id of a path or a header. Ids count from 1: a text of another form becomes 0, which nothing has. */
export function readIntegerId(text: string | undefined): number {
  return text !== undefined && INTEGER_ID.test(text) ? Number(text) : 0;
}

/** So many digits are always exact as a number of JavaScript. */
const MAX_DIGITS = 15;
/** The form of an id that is a number in D1. */
export const INTEGER_ID = /^[0-9]{1,15}$/;

function ruleOf(least: number, most: number): string {
  const end = most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most}`;
  return `must be a whole number from ${least}${end}`;
}
