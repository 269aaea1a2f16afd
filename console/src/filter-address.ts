/** Filters of a list as a part of the address, so that Back, a reload and a link keep them. Pure. */

/** The part that stands for these filters: `status=failed&event_type=session.*`. Null ones are left out. */
export function filterPart(filters: Readonly<Record<string, string | null>>): string {
  const chosen = Object.entries(filters).filter((one): one is [string, string] => one[1] !== null);
  return new URLSearchParams(chosen).toString();
}

/** One filter of such a part; null: it is not set. */
export function filterOf(part: string | undefined, name: string): string | null {
  return new URLSearchParams(part ?? "").get(name);
}
