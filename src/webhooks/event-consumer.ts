/**
 * Consumes the events queue: records each event, makes a delivery for each address that is to get it, and
 * puts the first attempts on the deliveries queue. All ids come from the event's id, so a message that
 * comes twice changes nothing in D1 the second time.
 */
import type { Database } from "../db/open";
import { recordDeadLetter, retryLater } from "../dead-letters/dead-letter-store";
import type { DomainEvent } from "../events/event";
import { eventInsertion } from "../events/event-store";
import { matchesPattern } from "../events/event-types";
import { describeError, log } from "../platform/log";
import { type Delivery, newDelivery } from "./delivery";
import type { DeliveryMessage } from "./delivery-messages";
import { deliveryInsertions } from "./delivery-store";
import { isTestEvent } from "./endpoint";
import { findListeningEndpoints } from "./endpoint-store";
import { type EventData, isSessionEvent, parseEventMessage } from "./event-catalogue";

/** The events that a session's own `webhook_url` gets. */
const SESSION_URL_EVENTS = ["session.active", "session.failed", "session.expired"];
/** The most messages that a queue takes in one call. */
const SEND_AT_ONCE = 100;

/** What the consumer works with. */
export interface EventConsumerServices {
  db: Database;
  deliveries: Queue;
  /** Called for each event after it is recorded. `queues.ts` passes `closeSocketsForEvent`. It may run twice. */
  afterRecorded: (event: DomainEvent) => Promise<void>;
}

/** Handles a batch. A message whose event was handled is acknowledged; one that failed is retried later. */
export async function consumeEvents(
  batch: MessageBatch,
  services: EventConsumerServices,
): Promise<void> {
  const readable: { message: Message; event: DomainEvent }[] = [];
  for (const message of batch.messages) {
    const parsed = parseEventMessage(message.body);
    if (parsed) readable.push({ message, event: parsed.event });
    else await recordDeadLetter(services.db, batch.queue, message, "not an event message");
  }
  if (readable.length === 0) return;
  try {
    await handleEvents(
      services,
      readable.map(({ event }) => event),
    );
    for (const { message } of readable) message.ack();
  } catch (error) {
    log("queue batch failed", { queue: batch.queue, error: describeError(error) });
    // One bad event must not stop the others: each is handled on its own now.
    for (const { message, event } of readable) {
      try {
        await handleEvents(services, [event]);
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

/** Records events with their deliveries, sends the messages of the deliveries, and calls `afterRecorded`. */
async function handleEvents(
  { db, deliveries, afterRecorded }: EventConsumerServices,
  events: readonly DomainEvent[],
): Promise<void> {
  const listening = await findListeningEndpoints(
    db,
    events.map(({ organisationId }) => organisationId),
  );
  const owed = events.flatMap((event) => deliveriesOf(event, listening));
  const [first, ...rest] = [
    ...events.map((event) => eventInsertion(db, event)),
    ...deliveryInsertions(db, owed),
  ];
  if (first) await db.batch([first, ...rest]);
  // The rows come first. A message without its row would be dropped. A row without its message gets one
  // when the event's message comes again.
  for (let i = 0; i < owed.length; i += SEND_AT_ONCE) {
    const messages = owed.slice(i, i + SEND_AT_ONCE);
    await deliveries.sendBatch(messages.map((delivery) => ({ body: toMessage(delivery) })));
  }
  // Last: if this fails, the deliveries are on their way already.
  for (const event of events) await afterRecorded(event);
}

type Listening = Awaited<ReturnType<typeof findListeningEndpoints>>;

/** The deliveries that an event gets. */
function deliveriesOf(event: DomainEvent, listening: Listening): Delivery[] {
  const toEndpoints = listening
    .filter((endpoint) => wants(endpoint, event))
    .map(({ id, url, format }) => newDelivery(event, format, url, id));
  return [...deliveriesToSessionUrl(event), ...toEndpoints];
}

function wants(endpoint: Listening[number], event: DomainEvent): boolean {
  if (endpoint.organisationId !== event.organisationId) return false;
  const data = event.data as EventData;
  if ("endpoint" in data) {
    // A test goes to its own endpoint alone. All other events of an endpoint go to the other endpoints.
    const isItself = data.endpoint.id === endpoint.id;
    if (isTestEvent(event)) return isItself;
    if (isItself) return false;
  }
  return endpoint.eventTypes?.some((pattern) => matchesPattern(pattern, event.type)) ?? true;
}

function deliveriesToSessionUrl(event: DomainEvent): Delivery[] {
  if (!isSessionEvent(event)) return [];
  const { kind, webhookUrl } = event.data.session;
  if (kind !== "relay" || webhookUrl === null) return [];
  if (!SESSION_URL_EVENTS.includes(event.type)) return [];
  return [newDelivery(event, "relay-session", webhookUrl)];
}

function toMessage({ organisationId, id }: Delivery): DeliveryMessage {
  return { v: 1, organisationId, id, attempt: 1 };
}
