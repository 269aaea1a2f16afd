/** Puts events on their queue. */
import type { DomainEvent, EventMessage } from "./event";

/** A queue batch holds 256 KB, and an event with the fullest session or key is under 20 KB. */
const SEND_AT_ONCE = 12;

/** Sends events in as few calls as the queue allows. One that fails may leave some of them sent. */
export async function sendEvents(queue: Queue, events: readonly DomainEvent[]): Promise<void> {
  for (let i = 0; i < events.length; i += SEND_AT_ONCE) {
    const messages = events
      .slice(i, i + SEND_AT_ONCE)
      .map((event) => ({ body: { v: 1, event } satisfies EventMessage }));
    await queue.sendBatch(messages);
  }
}
