/** Deliveries and attempts, in the form in which journals take them and give them back. Pure. */
import type { DomainEvent } from "./event";

/** The format in which the event is posted. */
export type DeliveryFormat = "relay-session" | "standard" | "ricloud";

/** `failed`: no scheduled attempt will follow, and none arrived. `discarded`: there was nowhere to send it. */
export type DeliveryStatus = "pending" | "delivered" | "failed" | "discarded";

/** One HTTP request for a delivery. Times are Unix milliseconds. */
export interface Attempt {
  at: number;
  durationMs: number;
  /** Null when no answer came. */
  statusCode: number | null;
  /** The first 1 KB of the answer's body. */
  response: string | null;
  error: string | null;
  /**
   * The id of the request or recovery that asked for it. Not set: it is an attempt of the schedule. For each id
   * there is one attempt of a delivery.
   */
  resend?: string;
}

/** One event owed to one address. */
export interface Delivery {
  organisationId: number;
  id: string;
  eventId: string;
  eventType: DomainEvent["type"];
  format: DeliveryFormat;
  url: string;
  /** The webhook endpoint; null: the address is the `webhook_url` of a session. */
  endpointId: string | null;
}

/** A delivery as it is listed. */
export interface StoredDelivery extends Delivery {
  status: DeliveryStatus;
  /** Oldest first. */
  attempts: Attempt[];
  /** How many of the attempts are of the schedule. A resend is in `attempts`, and is not counted here. */
  scheduledAttempts: number;
  nextAttemptAt: number | null;
}

/** Which delivery. */
export type DeliveryKey = Pick<Delivery, "organisationId" | "id">;

/** An event as it is recorded, with its deliveries in the order of their ids. */
export interface RecordedEvent {
  event: DomainEvent;
  deliveries: StoredDelivery[];
}

/** What came of one attempt. */
export type AttemptRecord = { deliveryId: string; attempt: Attempt } & (
  | {
      kind: "scheduled";
      /** How many attempts of the schedule were made before it: if there are more by now, it is recorded already. */
      before: number;
      status: DeliveryStatus;
      /** Unix milliseconds; set only while the delivery stays pending. */
      nextAttemptAt: number | null;
    }
  /** An attempt beside the schedule; its `attempt.resend` says which request asked for it. */
  | { kind: "resend"; succeeded: boolean }
);
