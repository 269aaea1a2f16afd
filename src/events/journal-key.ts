/**
 * Which journal an event is in. It is computed from the event's organisation and id, so that nobody looks it up.
 * A journal is one Durable Object for each organisation, UTC day and number. Pure.
 */
import type { JournalCount } from "../db/schema/organisations";
import { uuidV7, withHyphens } from "./event";

/** The length of a UTC day in milliseconds. */
export const DAY_MS = 86_400_000;

/** Which journal. */
export interface JournalKey {
  organisationId: number;
  /** Whole days since 1970-01-01 UTC. */
  day: number;
  /** From 0. An organisation whose day is too large for one journal has several. */
  number: number;
}

/** The most journals of one day. */
export const MAX_JOURNAL_COUNT = 64;

/** The UTC day of a moment (Unix milliseconds). */
export function dayAt(time: number): number {
  return Math.floor(time / DAY_MS);
}

/** Whether a text has the form of an event's id: a version-7 UUID. */
export function isEventId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text);
}

/** The moment at which an event's id was made, Unix milliseconds. */
export function timeOfEventId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The smallest id that an event of this moment (Unix milliseconds) can have. */
export function firstEventIdAt(time: number): string {
  return uuidV7(Math.max(0, time), new Uint8Array(10));
}

/** The smallest id of a delivery of an event of this moment (Unix milliseconds), or of a later one. */
export function firstDeliveryAt(time: number): string {
  return `whd_${hexOf(firstEventIdAt(time))}`;
}

/** The event of a delivery: `whd_`, the event's id without hyphens, `_` and what tells the address. */
export function eventIdOfDelivery(deliveryId: string): string {
  return withHyphens(deliveryId.slice(4, 36));
}

/** An id without its hyphens. */
export function hexOf(eventId: string): string {
  return eventId.replaceAll("-", "");
}

/**
 * The journal of an event.
 * @param counts the organisation's changes of the number of journals, oldest first; before the first: one
 */
export function journalOfEvent(
  organisationId: number,
  eventId: string,
  counts: readonly JournalCount[],
): JournalKey {
  const time = timeOfEventId(eventId);
  const count = journalCountAt(counts, time);
  // The last 32 bits of a version-7 UUID are random.
  const number = count === 1 ? 0 : Number.parseInt(eventId.slice(-8), 16) % count;
  return { organisationId, day: dayAt(time), number };
}

/** Over how many journals the events of a moment (Unix milliseconds) are spread. */
export function journalCountAt(counts: readonly JournalCount[], time: number): number {
  return counts.findLast(({ from }) => from <= time)?.count ?? 1;
}

/**
 * The changes that still matter for events from `since` (Unix milliseconds) on: of the earlier ones, the last.
 * @param counts oldest first
 */
export function changesSince(counts: readonly JournalCount[], since: number): JournalCount[] {
  const last = counts.findLastIndex(({ from }) => from <= since);
  return counts.slice(Math.max(0, last));
}

/** The name of a journal's object, such as `7/2026-11-26/0`. */
export function journalName({ organisationId, day, number }: JournalKey): string {
  return `${organisationId}/${new Date(day * DAY_MS).toISOString().slice(0, 10)}/${number}`;
}

/**
 * The journal of this name.
 * @throws Error when it is not the name of a journal
 */
export function parseJournalName(name: string): JournalKey {
  const parts = /^(\d+)\/(\d{4}-\d\d-\d\d)\/(\d+)$/.exec(name);
  const midnight = Date.parse(`${parts?.[2]}T00:00:00Z`);
  if (!parts || Number.isNaN(midnight)) throw new Error(`not the name of a journal: ${name}`);
  return { organisationId: Number(parts[1]), day: dayAt(midnight), number: Number(parts[3]) };
}

/**
 * Whether everything of a day is older than retention allows, so that its journals are dropped.
 * @param now Unix milliseconds
 */
export function isDayOver(day: number, retentionDays: number, now: number): boolean {
  return (day + 1) * DAY_MS <= now - retentionDays * DAY_MS;
}
