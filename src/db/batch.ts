/** Runs several statements in one transaction of D1, and gives their results by name. For the store files. */
import type { BatchItem } from "drizzle-orm/batch";
import type { Database } from "./open";

type Statement = BatchItem<"sqlite">;
/** A statement, or several that belong together. */
type Named = Statement | readonly Statement[];

/** The result of each statement, under its name. A group gives the list of its statements' results. */
export type BatchResults<T extends Record<string, Named>> = {
  [K in keyof T]: T[K] extends Statement
    ? T[K]["_"]["result"]
    : T[K] extends readonly (infer S extends Statement)[]
      ? S["_"]["result"][]
      : never;
};

/**
 * Runs statements in one transaction, in the order in which they are written: all of them, or none. A name
 * must not be a number, because JavaScript puts such properties first.
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
