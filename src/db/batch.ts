/** Several statements in one transaction of D1, with their results by name. */
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "./open";

type Statement = BatchItem<"sqlite">;
/** A statement, or several that belong together. */
type Named = Statement | readonly Statement[];

/** What each statement gives, under its name. A group of statements gives one result each. */
export type BatchResults<T extends Record<string, Named>> = {
  [K in keyof T]: T[K] extends Statement
    ? T[K]["_"]["result"]
    : T[K] extends readonly (infer S extends Statement)[]
      ? S["_"]["result"][]
      : never;
};

/**
 * Runs statements in the order in which they are written, in one transaction: all of them, or none.
 * Names must not be numbers: those would come first.
 */
export async function runBatch<T extends Record<string, Named>>(
  db: Database,
  named: T,
): Promise<BatchResults<T>> {
  const groups = Object.entries(named).map(
    ([name, one]) => [name, isGroup(one) ? one : [one]] as const,
  );
  const [first, ...rest] = groups.flatMap(([, statements]) => statements);
  const answers: unknown[] = first ? await db.batch([first, ...rest]) : [];
  const results: Record<string, unknown> = {};
  for (const [name, statements] of groups) {
    const own = answers.splice(0, statements.length);
    results[name] = isGroup(named[name]) ? own : own[0];
  }
  return results as BatchResults<T>;
}

function isGroup(named: Named | undefined): named is readonly Statement[] {
  return Array.isArray(named);
}
