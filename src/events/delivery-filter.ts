/** Which deliveries a page of a list shows. Pure. */
import type { StoredDelivery } from "./delivery-record";
import { matchesPattern } from "./event-types";
import type { DeliveryPageQuery } from "./journal-calls";

/** Whether a delivery is behind the place where the page begins, and passes its filters. */
export function isListed(
  { id, endpointId, eventType, status }: StoredDelivery,
  query: Pick<DeliveryPageQuery, "below" | "endpointId" | "pattern" | "status">,
): boolean {
  return (
    (query.below === null || id < query.below) &&
    (query.status === null || status === query.status) &&
    (query.endpointId === null || endpointId === query.endpointId) &&
    (query.pattern === null || matchesPattern(query.pattern, eventType))
  );
}
