/**
 * The webhook pipeline as tests see it: what is recorded, and its consumers run by hand on the real
 * database and the real receiver, where a test must decide the order.
 */
import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { openDatabase } from "../../src/db/open";
import { openOutbox } from "../../src/devices/event-outbox";
import type { Attempt, Delivery } from "../../src/events/delivery-record";
import { type DomainEvent, newEventId } from "../../src/events/event";
import type { EventType } from "../../src/events/event-types";
import { unattempted } from "../../src/journals/stored-delivery";
import { type Config, readConfig } from "../../src/platform/config";
import { handleBatch } from "../../src/queues";
import type { SessionEventData } from "../../src/session/session";
import { webhookBodies } from "../../src/surfaces/shared/webhook-bodies";
import { newDelivery } from "../../src/webhooks/delivery";
import { consumeDeliveries } from "../../src/webhooks/delivery-consumer";
import type { DeliveryMessage } from "../../src/webhooks/delivery-messages";
import { newOrganisation, type Tenant } from "./client";
import { type Endpoint, newEndpoint } from "./endpoints";
import { eventually } from "./eventually";
import { journals, recordedIn, storeRecords } from "./journals";
import { createMailbox, type Mailbox, type ReceivedRequest } from "./receiver";
import { create } from "./sessions";

export type QueueName =
  | "drawbridge-deliveries"
  | "drawbridge-bulk-deliveries"
  | "drawbridge-sweep"
  | "drawbridge-dead-letters";

/** A receiver of this test's own. */
export function newMailbox(): Mailbox {
  return createMailbox(env.TEST_RECEIVER_URL);
}

export { eventually };

/** An event as it is recorded. */
export interface EventRow {
  organisation_id: number;
  id: string;
  type: string;
  at: number;
  data: string;
}

/** All events of an organisation, oldest first, as they are stored. */
export async function eventRows(tenant: Tenant): Promise<EventRow[]> {
  const recorded = await recordedIn(tenant.id);
  return recorded.map(({ event: { organisationId, data, ...event } }) => ({
    ...event,
    organisation_id: organisationId,
    data: JSON.stringify(data),
  }));
}

/** A delivery as it is stored, with its attempts parsed. */
export interface DeliveryRow {
  id: string;
  event_id: string;
  event_type: string;
  endpoint_id: string | null;
  url: string;
  status: string;
  attempts: Attempt[];
  attempt_count: number;
  next_attempt_at: number | null;
}

/** All deliveries of an organisation, oldest event first. */
export async function deliveryRows(tenant: Tenant): Promise<DeliveryRow[]> {
  const recorded = await recordedIn(tenant.id);
  return recorded
    .flatMap(({ deliveries }) => deliveries)
    .map((delivery) => ({
      id: delivery.id,
      event_id: delivery.eventId,
      event_type: delivery.eventType,
      endpoint_id: delivery.endpointId,
      url: delivery.url,
      status: delivery.status,
      attempts: delivery.attempts,
      attempt_count: delivery.scheduledAttempts,
      next_attempt_at: delivery.nextAttemptAt,
    }));
}

/** The dead letters whose body holds this text. */
export async function deadLetters(
  marker: string,
): Promise<{ queue: string; reason: string; body: string }[]> {
  const { results } = await env.DB.prepare("select * from dead_letters where instr(body, ?) > 0")
    .bind(marker)
    .all<{ queue: string; reason: string; body: string }>();
  return results;
}

/**
 * What the `standardwebhooks` package reads from a request that is signed with this secret;
 * otherwise it throws.
 */
// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
export function verified(request: ReceivedRequest | undefined, secret: string): any {
  if (!request) throw new Error("there is no such request");
  return new Webhook(secret).verify(request.body, request.headers);
}

/** An event of a session of this organisation that was not announced yet. */
export async function newEvent(
  tenant: Tenant,
  type: EventType,
  webhookUrl: string | null,
): Promise<DomainEvent<SessionEventData>> {
  const { body } = await create(tenant.key);
  const row = await eventually(async () => {
    const found = (await eventRows(tenant)).find(({ data }) => data.includes(body.session_id));
    if (!found) throw new Error("the session's own event is not stored yet");
    return found;
  });
  const { session } = JSON.parse(row.data);
  const now = Date.now();
  const data = { session: { ...session, webhookUrl } };
  return { id: newEventId(now), organisationId: tenant.id, type, at: now, data };
}

/** A delivery that is owed, and that is on no queue. */
export interface Owed {
  tenant: Tenant;
  mailbox: Mailbox;
  /** The message that asks for the first attempt. */
  message: Extract<DeliveryMessage, { attempt: number }>;
}

/** A delivery that is owed to a session's webhook_url. */
export async function newOwed(mailbox = newMailbox()): Promise<Owed> {
  const tenant = await newOrganisation();
  const event = await newEvent(tenant, "session.active", mailbox.url);
  return store(tenant, mailbox, event, newDelivery(event, "relay-session", mailbox.url));
}

/** One more delivery that is owed to an endpoint. */
export async function owe(tenant: Tenant, { id, mailbox }: Endpoint): Promise<Owed> {
  const event = await newEvent(tenant, "session.active", null);
  return store(tenant, mailbox, event, newDelivery(event, "standard", mailbox.url, id));
}

/** Stores an event and its delivery, and leaves it to the test to send the message. */
async function store(
  tenant: Tenant,
  mailbox: Mailbox,
  event: DomainEvent,
  delivery: Delivery,
): Promise<Owed> {
  await storeRecords(tenant.id, [{ event, deliveries: [unattempted(delivery)] }]);
  const message = { v: 1, organisationId: tenant.id, id: delivery.id, attempt: 1 } as const;
  return { tenant, mailbox, message };
}

/** An organisation with an endpoint to which an event is owed. */
export async function newOwedToEndpoint(): Promise<Owed & { endpoint: Endpoint }> {
  const tenant = await newOrganisation();
  // It gets nothing but what a test owes it.
  const only = { event_types: ["connection.created"] };
  const endpoint = await newEndpoint(tenant, newMailbox(), only);
  return { ...(await owe(tenant, endpoint)), endpoint };
}

/** The only delivery of the organisation. */
export async function deliveryOf({ tenant }: Owed): Promise<DeliveryRow> {
  const [row, ...more] = await deliveryRows(tenant);
  if (!row || more.length > 0) throw new Error("not exactly one delivery");
  return row;
}

/** What a consumer did with the messages of a batch, by their place in it. */
export interface Consumed {
  acknowledged: number[];
  retried: { index: number; delaySeconds: number | undefined }[];
}

/** Gives these messages to the Worker's consumer, as one batch of the queue. */
export function consume(queue: QueueName, bodies: unknown[]): Promise<Consumed> {
  return runBatch(queue, bodies, (batch, ctx) => handleBatch(batch, env, ctx));
}

/** Gives delivery messages to their consumer, with other settings than the deployment's. */
export function deliverWith(settings: Partial<Config>, bodies: unknown[]): Promise<Consumed> {
  return runBatch("drawbridge-deliveries", bodies, (batch, ctx) => {
    const db = openDatabase(env);
    const config = { ...readConfig(env), ...settings };
    return consumeDeliveries(batch, {
      db,
      config,
      deliveries: env.DELIVERIES,
      events: openOutbox(env, ctx, db),
      waitUntil: (promise) => ctx.waitUntil(promise),
      render: webhookBodies(config),
    });
  });
}

/** Tells journals of events, as a session's object or the outbox does. */
export function record(...events: DomainEvent[]): Promise<void> {
  return journals.record(events);
}

async function runBatch(
  queue: QueueName,
  bodies: unknown[],
  work: (batch: MessageBatch, ctx: ExecutionContext) => Promise<void>,
): Promise<Consumed> {
  const messages = bodies.map((body) => ({
    id: crypto.randomUUID(),
    timestamp: new Date(),
    attempts: 1,
    body,
  }));
  const indexOf = (id: string) => messages.findIndex((message) => message.id === id);
  const batch = createMessageBatch(queue, messages);
  const delays = new Map<string, number | undefined>();
  for (const message of batch.messages) {
    const retry = message.retry.bind(message);
    // The batch's result does not tell the delay.
    message.retry = (options) => {
      delays.set(message.id, options?.delaySeconds);
      retry(options);
    };
  }
  const ctx = createExecutionContext();
  await work(batch, ctx);
  const result = await getQueueResult(batch, ctx);
  const retried = result.retryMessages.map(({ msgId }) => ({
    index: indexOf(msgId),
    delaySeconds: delays.get(msgId),
  }));
  // The platform acknowledges messages that a consumer which did not throw left alone.
  const acknowledged = [...messages.keys()].filter(
    (index) => !retried.some((other) => other.index === index),
  );
  return { acknowledged, retried };
}
