/** What is thrown when something that Drawbridge stands on is overloaded or down. */

/** Answered with 503, and the wish that the caller comes back. */
export class Unavailable extends Error {
  readonly retryAfterSeconds: number;
  constructor(message: string, retryAfterSeconds = 2) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
