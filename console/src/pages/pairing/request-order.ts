/** The order of pairing requests: where one stands in a list, and whether a list has moved. Pure. */

/**
 * The cursor behind which a list that is newest first begins with this request. Ids sort by time, and a cursor
 * is the id before: here the next text of the same length.
 * @param id a `pair_request_id`
 */
export function cursorBefore(id: string): string {
  const last = id.search(/[^f-][f-]*$/);
  const digits = "0123456789abcdef";
  const next = digits[digits.indexOf(id[last] ?? "") + 1];
  return id.slice(0, last) + next + id.slice(last + 1).replaceAll("f", "0");
}

/** Whether a place in the list has another entry than before: who aims at it would meet the wrong one. */
export function hasMoved(before: readonly string[], after: readonly string[]): boolean {
  return before.some((id, place) => after[place] !== undefined && after[place] !== id);
}
