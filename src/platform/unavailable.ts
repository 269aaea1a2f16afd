/** The error for a part of the platform that does not answer: a Durable Object, a queue, another service. */

/**
 * Something that Drawbridge needs is overloaded or down, and the same call may work later. The app
 * answers 503 with `Retry-After`.
 */
export class UnavailableError extends Error {
  readonly retryAfterSeconds: number;
  constructor(message: string, retryAfterSeconds = 2) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
