/** The service's time. The clock of the person's machine may be wrong, so nothing is decided by it alone. */
import { signal } from "@preact/signals";

/** How far the service's clock is ahead of this machine's, in milliseconds. */
let ahead = 0;

/** The service's time, Unix milliseconds. It moves every second. */
export const serviceNow = signal(Date.now());

/** Takes the service's time from the header `Date` of an answer. Its seconds are whole. */
export function noteServiceTime(header: string | null): void {
  const at = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(at)) return;
  // The header may be a second old, and on its way for a moment: only more than that is a wrong clock.
  const measured = at - Date.now();
  if (Math.abs(measured - ahead) > 2_000) ahead = measured;
  serviceNow.value = Date.now() + ahead;
}

window.setInterval(() => {
  if (!document.hidden) serviceNow.value = Date.now() + ahead;
}, 1_000);
