/**
 * How times stand on the wire: RFC 3339, in UTC. The mappers of all surfaces call this, except those of
 * Alibaba's RPC, which shows Unix milliseconds.
 */

import * as z from "zod";

/** The schema of a time with milliseconds. */
export const time = z.string().meta({ format: "date-time", example: "2026-11-22T08:00:00.000Z" });

/** The schema of a time in whole seconds. */
export const timeInSeconds = z
  .string()
  .meta({ format: "date-time", example: "2026-11-22T08:00:00Z" });

/** A time on the wire; null where there is none. */
type WireTime<T> = T extends number ? string : null;

/** With milliseconds, as `2026-11-22T08:00:00.000Z`, of Unix milliseconds; null stays null. */
export function toRfc3339<T extends number | null>(time: T): WireTime<T> {
  return (time === null ? null : new Date(time).toISOString()) as WireTime<T>;
}

/** In whole seconds, as `2026-11-22T08:00:00Z`, which ricloud's clients read; null stays null. */
export function toRfc3339Seconds<T extends number | null>(time: T): WireTime<T> {
  const text = toRfc3339(time);
  return (text === null ? null : `${text.slice(0, 19)}Z`) as WireTime<T>;
}
