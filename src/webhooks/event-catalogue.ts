/** The data of every kind of event, and the check of what comes off the events queue. Pure. */
import * as z from "zod";
import type { DeviceEventData } from "../devices/device";
import type { DomainEvent, EventMessage } from "../events/event";
import type { KeyEventData } from "../keys/key";
import type { PairingRequestEventData } from "../pairing/pairing-request";
import type { RelayNodeEventData } from "../relay-nodes/node";
import type { ConnectionEventData, PermissionEventData } from "../relay-permissions/permission";
import type { SessionEventData } from "../session/session";
import type { ConnectorEventData } from "../sources/connector";
import type { EndpointEventData } from "./endpoint";

/** The data of an event. Each kind has one field, and is told apart by its name. */
export type EventData =
  | SessionEventData
  | KeyEventData
  | PermissionEventData
  | ConnectionEventData
  | ConnectorEventData
  | EndpointEventData
  | PairingRequestEventData
  | DeviceEventData
  | RelayNodeEventData;

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
      z.strictObject({ relayNode: z.looseObject({ id: z.string() }) }),
      z.strictObject({ device: z.looseObject({ id: z.string(), version: z.int() }) }),
    ]),
  }),
});

/** The message, or null when it is not one that this code knows. */
export function parseEventMessage(body: unknown): EventMessage | null {
  const parsed = messageShape.safeParse(body);
  // Our own code wrote the data, so only the fields that name what it is about are checked.
  return parsed.success ? (parsed.data as unknown as EventMessage) : null;
}
