/** Times as a person puts them in: of the person's time zone, without one written. Pure. */

/** What `<input type="datetime-local">` shows for a time (Unix milliseconds), to the minute; NaN: nothing. */
export function toLocalInput(at: number): string {
  if (Number.isNaN(at)) return "";
  const minutesWest = new Date(at).getTimezoneOffset();
  return new Date(at - minutesWest * 60_000).toISOString().slice(0, 16);
}

/** The time that `<input type="datetime-local">` holds, in RFC 3339; null: it holds none. */
export function fromLocalInput(value: string): string | null {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}
