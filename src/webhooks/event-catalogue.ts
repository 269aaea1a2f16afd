import { z } from "zod";
import type { DeviceEventData } from "../devices/device";
import type { DomainEvent, EventMessage } from "../events/event";
import type { KeyEventData } from "../keys/key";
import type { PairRequestEventData } from "../pairing/pairing-request";
import type { ConnectionEventData, PermissionEventData } from "../relay-permissions/permission";
import type { SessionEventData } from "../session/session";
import type { ConnectorEventData } from "../sources/connector";
import type { EndpointEventData } from "./endpoint";

/** What events are about: one arm for each kind, told apart by the name of its only field. */
export type EventData =
  | SessionEventData
  | KeyEventData
  | PermissionEventData
  | ConnectionEventData
  | ConnectorEventData
  | EndpointEventData
  | PairRequestEventData
  | DeviceEventData;

/** Whether an event is about a session. */
export function isSessionEvent(event: DomainEvent): event is DomainEvent<SessionEventData> {
  return "session" in event.data;
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
      z.strictObject({ connector: z.looseObject({ type: z.string(), version: z.int() }) }),
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
