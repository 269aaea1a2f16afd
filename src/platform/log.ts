/** The log: one structured JSON line each. Never a token, secret, payload, signature or body. */
import { DrizzleQueryError } from "drizzle-orm";

/** Writes a line. All go to `console.log`, which every environment prints as it is. */
export function log(message: string, fields: Record<string, unknown>): void {
  console.log(JSON.stringify({ message, ...fields }));
}

/** What went wrong, without the values that were bound to a statement: they may be private. */
export function describeError(error: unknown): string {
  if (error instanceof DrizzleQueryError) {
    return `${describeError(error.cause)} in: ${error.query}`;
  }
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}

/** Whether D1 failed or could not be reached: a batch throws its own error, Drizzle wraps the rest. */
export function isDatabaseError(error: unknown): boolean {
  return (
    error instanceof DrizzleQueryError ||
    (error instanceof Error && error.message.startsWith("D1_"))
  );
}
