/** Events as the rest of Drawbridge sees them: an immutable fact of one organisation. */
import { z } from "zod";
import type { DeviceFacts } from "../devices/device";
import type { PairRequest } from "../devices/pairing";
import type { KeyFacts } from "../keys/key";
import type { Connection, RelayPermission } from "../permissions/permission";
import type { Session } from "../session/machine";
import type { WebhookEndpoint } from "../webhooks/endpoint";
import type { EventType } from "./types";

/**
 * An event. `data` is what it is about, as it was right after, under the name of its kind.
 * It never holds a token or a secret, so it may be stored, queued and logged.
 */
export interface DomainEvent<D extends EventData = EventData> {
  /** UUIDv7: the same for every delivery of this event. */
  readonly id: string;
  readonly organisationId: number;
  readonly type: EventType;
  /** Unix milliseconds. */
  readonly at: number;
  readonly data: D;
}

/** What events are about: one arm for each kind, told apart by the name of its only field. */
export type EventData =
  | SessionEventData
  | KeyEventData
  | PermissionEventData
  | ConnectionEventData
  | EndpointEventData
  | PairRequestEventData
  | DeviceEventData;

/** The data of all `session.*` events. */
export interface SessionEventData {
  readonly session: Session;
}

/** The data of all `webhook-endpoint.*` events, and of ricloud's test event. */
export interface EndpointEventData {
  readonly endpoint: WebhookEndpoint;
}

/** The data of all `key.*` events. */
export interface KeyEventData {
  readonly key: KeyFacts;
}

/** The data of all `relay-permission.*` events. */
export interface PermissionEventData {
  readonly permission: RelayPermission;
}

/** The data of all `connection.*` events. What a deleted one permitted is gone without events of its own. */
export interface ConnectionEventData {
  readonly connection: Connection;
}

/** The data of all `device.pair.*` events. */
export interface PairRequestEventData {
  readonly pairRequest: PairRequest;
}

/** The data of the other `device.*` events. */
export interface DeviceEventData {
  readonly device: DeviceFacts;
}

/** Whether an event is about a session. */
export function isSessionEvent(event: DomainEvent): event is DomainEvent<SessionEventData> {
  return "session" in event.data;
}

/** What travels on the events queue. `v` rises when the shape does; a consumer knows all that are out. */
export interface EventMessage {
  readonly v: 1;
  readonly event: DomainEvent;
}

const messageShape = z.object({
  v: z.literal(1),
  event: z.object({
    id: z.uuid(),
    organisationId: z.int(),
    type: z.string().min(1),
    at: z.int(),
    data: z.union([
      z.strictObject({ session: z.looseObject({ id: z.string(), version: z.int() }) }),
      z.strictObject({ key: z.looseObject({ id: z.int(), version: z.int() }) }),
      z.strictObject({ permission: z.looseObject({ connectionId: z.string() }) }),
      z.strictObject({ connection: z.looseObject({ connectionId: z.string() }) }),
      z.strictObject({ endpoint: z.looseObject({ id: z.string() }) }),
      z.strictObject({ pairRequest: z.looseObject({ id: z.string() }) }),
      z.strictObject({ device: z.looseObject({ id: z.string(), version: z.int() }) }),
    ]),
  }),
});

/** The message, or null when it is not one that this code knows. */
export function parseEventMessage(body: unknown): EventMessage | null {
  const parsed = messageShape.safeParse(body);
  // What is inside was written by our own code: its shape is checked as far as it is addressed.
  return parsed.success ? (parsed.data as unknown as EventMessage) : null;
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
  const hex = Buffer.from(bytes).toString("hex");
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
