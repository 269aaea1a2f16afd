/** Events with deliveries that a test makes, so that a model can say what lists show of them. */
import { env } from "cloudflare:workers";
import type { StoredDelivery } from "../../src/events/delivery-record";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { newDelivery } from "../../src/webhooks/delivery";
import { newOrganisation, type Tenant } from "./client";

export const TYPES = ["connection.created", "connection.deleted"] as const;
export const STATUSES = ["pending", "delivered", "failed", "discarded"] as const;

/** A record as a test thinks of it: the model is a list of these. */
export interface Made {
  event: DomainEvent;
  deliveries: StoredDelivery[];
}

/** An event of that moment (Unix milliseconds), with a delivery for each of these statuses, to `whe_0` and so on. */
export function make(
  { id: organisationId }: Tenant,
  at: number,
  type: (typeof TYPES)[number],
  statuses: readonly StoredDelivery["status"][],
): Made {
  const data = { connection: { connectionId: "a", memo: "" } };
  const event: DomainEvent = { id: newEventId(at), organisationId, type, at, data };
  const deliveries = statuses.map((status, i) => ({
    ...newDelivery(event, "standard", "https://example.com/", `whe_${i}`),
    ...{ status, attempts: [], scheduledAttempts: 0, nextAttemptAt: null },
  }));
  return { event, deliveries };
}

/** An organisation whose days are spread over so many journals since ever. */
export async function organisationWith(count: number): Promise<Tenant> {
  const tenant = await newOrganisation();
  await env.DB.prepare("update organisations set journal_counts = ? where id = ?")
    .bind(JSON.stringify([{ from: 0, count }]), tenant.id)
    .run();
  return tenant;
}
