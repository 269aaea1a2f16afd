/** The form of an event, and its id. Every room that announces something uses it. */
import type { EventType } from "./event-types";

/**
 * An event. `data` has one field, named after what the event is about, with its state right after the
 * event. It never holds a token or a secret, so an event may be stored and logged.
 */
export interface DomainEvent<D extends object = object> {
  /** A UUIDv7. All deliveries of the event carry it. */
  readonly id: string;
  readonly organisationId: number;
  readonly type: EventType;
  /** Unix milliseconds. */
  readonly at: number;
  readonly data: D;
}

/**
 * A UUIDv7 (RFC 9562, section 5.7): 48 bits of time, then random bits.
 * @param now Unix milliseconds
 * @param random 10 random bytes
 */
export function uuidV7(now: number, random: Uint8Array): string {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(now) << 16n);
  bytes.set(random.subarray(0, 10), 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return withHyphens(Buffer.from(bytes).toString("hex"));
}

/** An id of 32 hexadecimal digits with its hyphens. */
export function withHyphens(hex: string): string {
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/** A new event id for this moment. */
export function newEventId(now: number): string {
  return uuidV7(now, crypto.getRandomValues(new Uint8Array(10)));
}
