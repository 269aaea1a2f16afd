/** The service's time. The clock of the person's machine may be wrong, so nothing is decided by it alone. */
import { signal } from "@preact/signals";

/** How far the service's clock is ahead of this machine's, in milliseconds. */
let ahead = 0;

/** The service's time, Unix milliseconds. It moves every second. */
export const serviceNow = signal(Date.now());

/**
 * Takes the service's time.
 * @param text the header `Date` of an answer, whose seconds are whole, or an RFC 3339 time. On a machine of
 * one's own no answer has that header.
 */
export function noteServiceTime(text: string | null): void {
  const at = text === null ? Number.NaN : Date.parse(text);
  if (Number.isNaN(at)) return;
  // It may be a second old, and on its way for a moment: only more than that is a wrong clock.
  const measured = at - Date.now();
  if (Math.abs(measured - ahead) > 2_000) ahead = measured;
  serviceNow.value = Date.now() + ahead;
}

window.setInterval(() => {
  if (!document.hidden) serviceNow.value = Date.now() + ahead;
}, 1_000);
