/** How far a recovery is: a journal, and the last delivery that was looked at in it. Pure. */
import type { JournalKey } from "../events/journal-key";

/** A place in an organisation's journals, in the order in which a recovery goes through them. */
export interface RecoveryPlace {
  day: number;
  number: number;
  /** Only deliveries with a larger id are left; null: none of this journal was looked at. */
  above: string | null;
}

/** A place as it is stored, such as `20783/0/whd_…`. */
export function writePlace({ day, number, above }: RecoveryPlace): string {
  return `${day}/${number}/${above ?? ""}`;
}

/** The place of a stored text; null: the beginning. */
export function readPlace(text: string | null): RecoveryPlace | null {
  if (text === null) return null;
  const [day, number, above] = text.split("/");
  return { day: Number(day), number: Number(number), above: above ? above : null };
}

/** The journals that are left from this place on, the oldest first. */
export function journalsLeft<K extends JournalKey>(
  journals: readonly K[],
  place: RecoveryPlace | null,
): K[] {
  return journals
    .filter(({ day, number }) => place === null || isAtOrAfter({ day, number }, place))
    .sort((a, b) => a.day - b.day || a.number - b.number);
}

type Position = Pick<RecoveryPlace, "day" | "number">;

function isAtOrAfter(one: Position, other: Position): boolean {
  return one.day > other.day || (one.day === other.day && one.number >= other.number);
}
