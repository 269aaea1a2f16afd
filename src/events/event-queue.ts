/** Puts events on their queue. */
import type { DomainEvent, EventMessage } from "./event";

/** A queue batch holds 256 KB, and an event with the fullest session or key is under 20 KB. */
const SEND_AT_ONCE = 12;

/**
 * Sends events in as few calls as the queue allows. One that fails may leave some of them sent.
 * @param sideBySide how many calls are made at once
 */
export async function sendEvents(
  queue: Queue,
  events: readonly DomainEvent[],
  sideBySide = 1,
): Promise<void> {
  const calls: DomainEvent[][] = [];
  for (let i = 0; i < events.length; i += SEND_AT_ONCE)
    calls.push(events.slice(i, i + SEND_AT_ONCE));
  for (let i = 0; i < calls.length; i += sideBySide) {
    await Promise.all(
      calls
        .slice(i, i + sideBySide)
        .map((some) =>
          queue.sendBatch(some.map((event) => ({ body: { v: 1, event } satisfies EventMessage }))),
        ),
    );
  }
}
