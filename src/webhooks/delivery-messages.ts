/** The messages on the two queues of deliveries: their form, and how a route puts one there. */
import * as z from "zod";
import type { DeliveryKey } from "../events/delivery-record";
import { UnavailableError } from "../platform/unavailable";

/** A message on a queue of deliveries. */
export type DeliveryMessage =
  /** Asks for an attempt of the schedule: which one, from 1. */
  | (DeliveryKey & { v: 1; attempt: number })
  /**
   * Asks for one attempt beside the schedule. `resend` is the id of the request for it, or of the recovery.
   * `unlessUnderWay`: not while an attempt of the schedule is being made, and not if one has arrived.
   */
  | (DeliveryKey & { v: 1; resend: string; unlessUnderWay?: true | undefined })
  /** Asks for the next page of a recovery. */
  | { v: 1; organisationId: number; recovery: string };

const base = z.object({ v: z.literal(1), organisationId: z.int() });
const shape = z.union([
  base.extend({ id: z.string(), attempt: z.int().min(1) }),
  base.extend({
    id: z.string(),
    resend: z.string().min(1),
    unlessUnderWay: z.literal(true).optional(),
  }),
  base.extend({ recovery: z.string() }),
]);

/** The message; null when its form is none of the above. */
export function parseDeliveryMessage(body: unknown): DeliveryMessage | null {
  return shape.safeParse(body).data ?? null;
}

/** The most messages that a queue takes in one call. */
export const SEND_AT_ONCE = 100;

/** Puts the first attempts of new deliveries on a queue. `deliveries`: `SEND_AT_ONCE` at most. */
export async function sendFirstAttempts(
  queue: Queue,
  deliveries: readonly DeliveryKey[],
): Promise<void> {
  await queue.sendBatch(
    deliveries.map(({ organisationId, id }) => ({
      body: { v: 1, organisationId, id, attempt: 1 } satisfies DeliveryMessage,
    })),
  );
}

/**
 * Puts a message on a queue of deliveries while an HTTP caller waits.
 * @throws UnavailableError when the queue does not take it
 */
export async function queueDeliveryMessage(queue: Queue, message: DeliveryMessage): Promise<void> {
  try {
    await queue.send(message);
  } catch (error) {
    throw new UnavailableError(`the deliveries queue takes nothing: ${String(error)}`);
  }
}
