/** A page of events has what its readers show, and not the attempts of all deliveries. */
import { expect, test } from "vitest";
import type { RecordedEvent } from "../../src/events/delivery-record";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { pageOfEvents } from "../../src/journals/journal-pages";
import type { JournalStore } from "../../src/journals/journal-store";
import { unattempted, withAttempt } from "../../src/journals/stored-delivery";
import { newDelivery } from "../../src/webhooks/delivery";

const AT = Date.UTC(2026, 10, 26);
const ANSWER = "what the receiver answered";

/** An event with one delivery, which was attempted once. */
function recorded(status: "delivered" | "failed"): RecordedEvent {
  const event: DomainEvent = {
    ...{ id: newEventId(AT), organisationId: 1, type: "connection.created", at: AT },
    data: { connection: { connectionId: "a", memo: "" } },
  };
  const delivery = newDelivery(event, "standard", "https://example.com/", "whe_1");
  const attempt = { at: AT + 5, durationMs: 1, statusCode: 200, response: ANSWER, error: null };
  const how = { kind: "scheduled", before: 0, status, nextAttemptAt: null } as const;
  const made = withAttempt(unattempted(delivery), { ...how, deliveryId: delivery.id, attempt });
  return { event, deliveries: made ? [made] : [] };
}

function storeOf(all: readonly RecordedEvent[]): JournalStore {
  const scan = function* () {
    for (const one of all) {
      const { id, type } = one.event;
      yield { id, type, read: () => one, deliveries: () => one.deliveries };
    }
  };
  return { scan } as unknown as JournalStore;
}

const query = {
  ...{ below: null, above: null, since: null, until: null },
  ...{ pattern: null, subject: null, action: null, state: null, limit: 10, mostRows: 10 },
};

test("an event is shown with a summary of its deliveries, and without them", () => {
  const [one, other] = [recorded("delivered"), recorded("failed")];
  const { rows } = pageOfEvents(storeOf([one, other]), query);
  expect(rows).toEqual([
    { ...one.event, delivery: { state: "delivered", retries: 0, deliveredAt: AT + 5 } },
    { ...other.event, delivery: { state: "failed", retries: 0, deliveredAt: null } },
  ]);
  expect(JSON.stringify(rows)).not.toContain(ANSWER);
});

test("the filter by state is about the same summary", () => {
  const [one, other] = [recorded("delivered"), recorded("failed")];
  const { rows, looked } = pageOfEvents(storeOf([one, other]), { ...query, state: "failed" });
  expect(rows.map(({ id, delivery }) => [id, delivery.state])).toEqual([
    [other.event.id, "failed"],
  ]);
  expect(looked).toBe(2);
});
