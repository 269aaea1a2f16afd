/**
 * Events and deliveries that no call of the API makes, or too many of them for calls, in today's journal of an
 * organisation. For tests and benches in Node, which see the Worker from outside.
 */
import { type DomainEvent, newEventId } from "../../src/events/event";
import type { EventType } from "../../src/events/event-types";
import type { JournalCalls } from "../../src/events/journal-calls";
import { dayAt, journalName } from "../../src/events/journal-key";
import { newDelivery } from "../../src/webhooks/delivery";
import type { TestServer } from "./server";

/** How many calls of the journal are under way at the same time. */
const AT_ONCE = 16;

/** Today's journal of an organisation that has one journal a day. */
export async function journalOf(server: TestServer, organisationId: number): Promise<JournalCalls> {
  const key = { organisationId, day: dayAt(Date.now()), number: 0 };
  const { JOURNALS } = await server.bindings();
  return JOURNALS.getByName(journalName(key)) as unknown as JournalCalls;
}

/** An event of now. */
export function eventOf(organisationId: number, type: EventType, data: object): DomainEvent {
  const at = Date.now();
  return { id: newEventId(at), organisationId, type, at, data } as DomainEvent;
}

/** An endpoint that there is not any more. */
const ENDPOINT = "whe_01900000000070008000000000000000";

/** Records so many events, each with a delivery that has arrived. */
export async function recordDelivered(
  journal: JournalCalls,
  { organisationId, type, data }: Pick<DomainEvent, "organisationId" | "type" | "data">,
  count: number,
): Promise<void> {
  let left = count;
  const work = async () => {
    while (left-- > 0) {
      const event = eventOf(organisationId, type, data);
      const delivery = newDelivery(event, "standard", "https://example.com/", ENDPOINT);
      const state = { attempts: [], scheduledAttempts: 1, nextAttemptAt: null };
      await journal.recordAttempted(event, { ...delivery, ...state, status: "delivered" });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
