/** Writes the log: JSON, one line for each entry. No entry holds a token, secret, payload, signature or body. */
import { DrizzleQueryError } from "drizzle-orm";

/** Writes one line. Every line goes to `console.log`, which every environment prints unchanged. */
export function log(message: string, fields: Record<string, unknown>): void {
  console.log(JSON.stringify({ message, ...fields }));
}

/** An error as text, without the values that were bound to its SQL statement: they may be private. */
export function describeError(error: unknown): string {
  if (error instanceof DrizzleQueryError) {
    return `${describeError(error.cause)} in: ${error.query}`;
  }
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}

/** Whether an error says that D1 failed or was not reached. A batch throws D1's own error; Drizzle wraps others. */
export function isDatabaseError(error: unknown): boolean {
  return (
    error instanceof DrizzleQueryError ||
    (error instanceof Error && error.message.startsWith("D1_"))
  );
}
