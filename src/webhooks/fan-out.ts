/**
 * Consumes the events queue: records each event once, and makes the deliveries it owes. Everything is
 * keyed by the event's id, so that a message that comes twice changes nothing the second time.
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

/** What a session's own `webhook_url` hears. */
const ANNOUNCED_TO_SESSION_URL = ["session.active", "session.failed", "session.expired"];
/** The most messages that a queue takes in one call. */
const SEND_AT_ONCE = 100;

interface Deps {
  db: Database;
  deliveries: Queue;
  /** What else an event sets off, once it is recorded; it may run twice. */
  react: (event: DomainEvent) => Promise<void>;
}

/** Handles a batch: what can be stored is acknowledged, what cannot comes back. */
export async function consumeEvents(batch: MessageBatch, deps: Deps): Promise<void> {
  const readable: { message: Message; event: DomainEvent }[] = [];
  for (const message of batch.messages) {
    const parsed = parseEventMessage(message.body);
    if (parsed) readable.push({ message, event: parsed.event });
    else await recordDeadLetter(deps.db, batch.queue, message, "not an event message");
  }
  if (readable.length === 0) return;
  try {
    await store(
      deps,
      readable.map(({ event }) => event),
    );
    for (const { message } of readable) message.ack();
  } catch (error) {
    log("queue batch failed", { queue: batch.queue, error: describeError(error) });
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

async function store(
  { db, deliveries, react }: Deps,
  events: readonly DomainEvent[],
): Promise<void> {
  const listening = await findListeningEndpoints(
    db,
    events.map(({ organisationId }) => organisationId),
  );
  const owed = events.flatMap((event) => owedDeliveries(event, listening));
  const [first, ...rest] = [
    ...events.map((event) => eventInsertion(db, event)),
    ...deliveryInsertions(db, owed),
  ];
  if (first) await db.batch([first, ...rest]);
  // After the rows: a message without its row would be dropped, a row without its message is sent
  // when this one comes back.
  for (let i = 0; i < owed.length; i += SEND_AT_ONCE) {
    const messages = owed.slice(i, i + SEND_AT_ONCE);
    await deliveries.sendBatch(messages.map((delivery) => ({ body: toMessage(delivery) })));
  }
  // Last: what cannot be reached here must not hold up what is owed to others.
  for (const event of events) await react(event);
}

type Listening = Awaited<ReturnType<typeof findListeningEndpoints>>;

function owedDeliveries(event: DomainEvent, listening: Listening): Delivery[] {
  const toEndpoints = listening
    .filter((endpoint) => wants(endpoint, event))
    .map(({ id, url, format }) => newDelivery(event, format, url, id));
  return [...owedToSession(event), ...toEndpoints];
}

function wants(endpoint: Listening[number], event: DomainEvent): boolean {
  if (endpoint.organisationId !== event.organisationId) return false;
  const data = event.data as EventData;
  if ("endpoint" in data) {
    // An endpoint is tried out alone; and what happens to it is for the others to hear.
    const isItself = data.endpoint.id === endpoint.id;
    if (isTestEvent(event)) return isItself;
    if (isItself) return false;
  }
  return endpoint.eventTypes?.some((pattern) => matchesPattern(pattern, event.type)) ?? true;
}

function owedToSession(event: DomainEvent): Delivery[] {
  if (!isSessionEvent(event)) return [];
  const { kind, webhookUrl } = event.data.session;
  if (kind !== "relay" || webhookUrl === null) return [];
  if (!ANNOUNCED_TO_SESSION_URL.includes(event.type)) return [];
  return [newDelivery(event, "relay-session", webhookUrl)];
}

function toMessage({ organisationId, id }: Delivery): DeliveryMessage {
  return { v: 1, organisationId, id, attempt: 1 };
}
