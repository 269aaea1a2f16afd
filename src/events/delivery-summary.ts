/** The deliveries of an event together, as ricloud's format shows them. Pure. */
import type { StoredDelivery } from "./delivery-record";
import type { DomainEvent } from "./event";

/** A summary of an event's deliveries. Times are Unix milliseconds. */
export interface DeliverySummary {
  /** Also `pending` where the event has no deliveries. */
  state: "pending" | "delivered" | "failed";
  /** How many attempts followed the first one, of the delivery that has the most. */
  retries: number;
  deliveredAt: number | null;
}

/** An event with a summary of its deliveries. */
export type SummarisedEvent = DomainEvent & { delivery: DeliverySummary };

/** Summarises the deliveries of one event. */
export function summarise(deliveries: readonly StoredDelivery[]): DeliverySummary {
  const delivered = deliveries.filter(({ status }) => status === "delivered");
  const times = delivered.flatMap(({ attempts }) => attempts.at(-1)?.at ?? []);
  return {
    state: stateOf(deliveries),
    retries: Math.max(0, ...deliveries.map((one) => one.scheduledAttempts - 1)),
    deliveredAt: times.length === 0 ? null : Math.max(...times),
  };
}

function stateOf(deliveries: readonly StoredDelivery[]): DeliverySummary["state"] {
  if (deliveries.length === 0 || deliveries.some(({ status }) => status === "pending"))
    return "pending";
  return deliveries.every(({ status }) => status === "delivered") ? "delivered" : "failed";
}
