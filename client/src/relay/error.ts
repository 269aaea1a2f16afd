/** The error with which a connection to a relay is refused. */

/** Why there is no connection. What the service said is the message. */
export class RelayError extends Error {
  override name = "RelayError";
  /** The HTTP status with which a call was refused; null: it was no call, or there was no answer. */
  readonly status: number | null;
  /** What was wrong with a call, such as `session-full`; null: it was no call, or there was no answer. */
  readonly code: string | null;
  /** The code with which the websocket was closed; null: there was none. */
  readonly closeCode: number | null;
  /** In how many seconds it may be tried again, if the service said so. */
  readonly retryAfter: number | null;

  constructor(
    message: string,
    {
      status = null,
      code = null,
      closeCode = null,
      retryAfter = null,
      cause,
    }: {
      status?: number | null;
      code?: string | null;
      closeCode?: number | null;
      retryAfter?: number | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause });
    this.status = status;
    this.code = code;
    this.closeCode = closeCode;
    this.retryAfter = retryAfter;
  }
}
