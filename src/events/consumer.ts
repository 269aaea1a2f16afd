/**
 * Consumes the events queue: records each event once, and makes the deliveries it owes. Everything is
 * keyed by the event's id, so that a message that comes twice changes nothing the second time.
 */
import type { Database } from "../db/open";
import { describeError, log } from "../log";
import { buryMessage, retryLater } from "../webhooks/dead-letters";
import type { DeliveryMessage } from "../webhooks/deliveries";
import { type Delivery, deliveryInsertion, newDelivery } from "../webhooks/delivery-store";
import { type DomainEvent, isSessionEvent, parseEventMessage } from "./event";
import { eventInsertion } from "./store";

/** What a session's own `webhook_url` hears. */
const ANNOUNCED_TO_SESSION_URL = ["session.active", "session.failed", "session.expired"];

interface Deps {
  db: Database;
  deliveries: Queue;
}

/** Handles a batch: what can be stored is acknowledged, what cannot comes back. */
export async function consumeEvents(batch: MessageBatch, deps: Deps): Promise<void> {
  const readable: { message: Message; event: DomainEvent }[] = [];
  for (const message of batch.messages) {
    const parsed = parseEventMessage(message.body);
    if (parsed) readable.push({ message, event: parsed.event });
    else await buryMessage(deps.db, batch.queue, message, "not an event message");
  }
  if (readable.length === 0) return;
  try {
    await store(
      deps,
      readable.map(({ event }) => event),
    );
    for (const { message } of readable) message.ack();
  } catch {
    // One bad event must not hold up the others: each on its own now.
    for (const { message, event } of readable) {
      try {
        await store(deps, [event]);
        message.ack();
      } catch (error) {
        log("queue message failed", {
          queue: batch.queue,
          message_id: message.id,
          organisation: event.organisationId,
          event: event.id,
          error: describeError(error),
        });
        retryLater(message);
      }
    }
  }
}

async function store({ db, deliveries }: Deps, events: readonly DomainEvent[]): Promise<void> {
  const owed = events.flatMap(owedDeliveries);
  const [first, ...rest] = [
    ...events.map((event) => eventInsertion(db, event)),
    ...owed.map((delivery) => deliveryInsertion(db, delivery)),
  ];
  if (first) await db.batch([first, ...rest]);
  // After the rows: a message without its row would be dropped, a row without its message is sent
  // when this one comes back.
  if (owed.length === 0) return;
  await deliveries.sendBatch(owed.map((delivery) => ({ body: toMessage(delivery) })));
}

function owedDeliveries(event: DomainEvent): Delivery[] {
  if (!isSessionEvent(event)) return [];
  const { kind, webhookUrl } = event.data.session;
  if (kind !== "relay" || webhookUrl === null) return [];
  if (!ANNOUNCED_TO_SESSION_URL.includes(event.type)) return [];
  return [newDelivery(event, "relay-session", webhookUrl)];
}

function toMessage({ organisationId, id }: Delivery): DeliveryMessage {
  return { v: 1, organisationId, id, attempt: 1 };
}
