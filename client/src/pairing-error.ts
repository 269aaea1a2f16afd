/** Why a pairing failed. Pure. */

/** An error with a code to decide by; the message is for people. */
export class PairingError extends Error {
  override name = "PairingError";
  /**
   * What an operator or the time decided (`rejected`, `expired`, `superseded`), a `code` of the service's
   * answer such as `application-not-found`, or what is wrong here: `unreachable`, `no-key-store`,
   * `no-ed25519`, `no-files`, `key-file-not-private`, `unreadable-key-file`, `unexpected-answer`.
   */
  readonly code: string;
  /** The HTTP status of the answer, if it was one. */
  readonly status: number | undefined;

  constructor(code: string, message: string, options: { cause?: unknown; status?: number } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.status = options.status;
  }
}
