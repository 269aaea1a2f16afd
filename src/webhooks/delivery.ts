/** A delivery: one event that is owed to one address, and the attempts to bring it there. Pure. */
import { createHash } from "node:crypto";
import type { Delivery, DeliveryFormat, StoredDelivery } from "../events/delivery-record";
import type { DomainEvent } from "../events/event";
import type { SecretVersions } from "../outbound/signing-secrets";
import type { WebhookEndpoint } from "./endpoint";

/** A delivery with everything that an attempt needs. */
export interface DeliveryToSend extends StoredDelivery {
  event: DomainEvent;
  /** The endpoint as it is now; null: it was deleted, or the delivery has none. */
  endpoint: WebhookEndpoint | null;
  /** The organisation's own secrets; null when it was deleted. */
  organisationSecrets: SecretVersions | null;
}

/**
 * The most attempts of one delivery. A delivery that has so many is not sent again: a program that asks for
 * resends in a loop would fill the journal's row, which has room for 2 MB.
 */
export const MAX_ATTEMPTS = 50;

/**
 * A delivery to an endpoint, or to an address that has none. Its id is made of the event and of the
 * endpoint or address: a delivery that is made twice has the same id, and is stored once.
 */
export function newDelivery(
  event: Pick<DomainEvent, "id" | "organisationId" | "type">,
  format: DeliveryFormat,
  url: string,
  endpointId: string | null = null,
): Delivery {
  const to = endpointId ?? `${format} ${url}`;
  const suffix = createHash("sha256").update(to).digest("hex").slice(0, 12);
  return {
    organisationId: event.organisationId,
    id: `whd_${event.id.replaceAll("-", "")}_${suffix}`,
    eventId: event.id,
    eventType: event.type,
    format,
    url,
    endpointId,
  };
}
