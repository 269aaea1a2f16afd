/** What became of an attempt, in words. Pure. */
import type { WebhookAttempt } from "drawbridge-client";

/** What a person should know of these statuses. */
const STATUSES: Record<number, string> = {
  401: "The receiver refuses us: it may have another secret, or want a credential.",
  403: "The receiver refuses us.",
  404: "The receiver knows no such address.",
  405: "The receiver takes no POST at this address.",
  410: "The receiver wants nothing more. After a delivery, this disables the endpoint.",
  413: "The event is too large for the receiver.",
  429: "The receiver is asked too often.",
};

/** Whether the event arrived. */
export function hasArrived({ status_code }: WebhookAttempt): boolean {
  return status_code !== null && status_code >= 200 && status_code < 300;
}

/** What the receiver's answer means; its own text, and why none came, are not in it. */
export function attemptWords(attempt: WebhookAttempt): string {
  const { status_code: status } = attempt;
  if (status === null) return "No answer came.";
  if (hasArrived(attempt)) return "It arrived.";
  const known = STATUSES[status];
  if (known !== undefined) return known;
  if (status >= 300 && status < 400) return "A redirect. They are not followed.";
  return status >= 500 ? "The receiver has failed." : "The receiver did not take it.";
}
