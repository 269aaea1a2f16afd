/** Puts events on the events queue. */
import type { DomainEvent, EventMessage } from "./event";

/**
 * One call of the queue takes 256 KB. The largest event is under 20 KB: a key, or a session with all of its
 * users (`MAX_SESSION_USERS` in `session/session.ts`: 64).
 */
const SEND_AT_ONCE = 12;

/**
 * Sends events in as few calls as the queue allows. If a call fails, some events may have been sent.
 * @param sideBySide how many calls are made at the same time
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
