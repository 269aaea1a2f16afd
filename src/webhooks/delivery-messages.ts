/** What travels on the deliveries queue. */
import { z } from "zod";
import { UnavailableError } from "../platform/unavailable";
import type { DeliveryKey } from "./delivery-store";

/** A message on the deliveries queue. */
export type DeliveryMessage =
  /** Asks for an attempt of the schedule: which one, from 1. */
  | (DeliveryKey & { v: 1; attempt: number })
  /**
   * Asks for one beside it, known by what asked for it; `unlessUnderWay`: not while one of the schedule is
   * being made, and not where one has arrived.
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

/** The message; null when it is not one that this code knows. */
export function parseDeliveryMessage(body: unknown): DeliveryMessage | null {
  return shape.safeParse(body).data ?? null;
}

/**
 * Puts a message on the queue for a caller who waits.
 * @throws UnavailableError when the queue does not take it
 */
export async function askFor(queue: Queue, message: DeliveryMessage): Promise<void> {
  try {
    await queue.send(message);
  } catch (error) {
    throw new UnavailableError(`the deliveries queue takes nothing: ${String(error)}`);
  }
}
