/**
 * Stands between the Worker and its D1: sees every statement, and can make one fail or wait. What
 * is let through runs on the real database. Undone when `work` is over.
 */
import { env } from "cloudflare:workers";

/** Is given the SQL of one request to D1 (of a batch, all of it). It may throw, and is awaited. */
export type OnStatement = (sql: string) => void | Promise<void>;

type Send = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Runs `work`; every request to D1 first goes through `onStatement`. */
export function withD1<T>(onStatement: OnStatement, work: () => Promise<T>): Promise<T> {
  return withSend(async (sql, send) => {
    await onStatement(sql);
    return send();
  }, work);
}

/**
 * Runs `work`; every answer of D1 first goes through `onStatement`, when D1 has already done the
 * request.
 */
export function withD1Answers<T>(onStatement: OnStatement, work: () => Promise<T>): Promise<T> {
  return withSend(async (sql, send) => {
    const answer = await send();
    await onStatement(sql);
    return answer;
  }, work);
}

async function withSend<T>(
  onSend: (sql: string, send: () => Promise<unknown>) => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  const session = Object.getPrototypeOf(env.DB.withSession()) as { _send: Send };
  const send = session._send;
  session._send = function (...args) {
    return onSend([args[1]].flat().join(";\n"), () => send.apply(this, args));
  };
  try {
    return await work();
  } finally {
    session._send = send;
  }
}

/** Runs `slow`; before its first write that matches, `fast` runs from beginning to end. */
export async function overtaken<A, B>(
  write: RegExp,
  slow: () => Promise<A>,
  fast: () => Promise<B>,
): Promise<[A, B]> {
  let done: { value: B } | undefined;
  let waiting = true;
  const value = await withD1(async (sql) => {
    if (!waiting || !write.test(sql)) return;
    waiting = false;
    done = { value: await fast() };
  }, slow);
  if (!done) throw new Error("no such write was seen");
  return [value, done.value];
}

/** What a D1 that cannot be reached throws. */
export function d1Lost(): never {
  throw new Error("D1_ERROR: Network connection lost.");
}

/** A gate that a statement waits at: `reached` resolves when one does, `open` lets all go on. */
export function newGate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    wait: () => {
      reached.resolve();
      return opened.promise;
    },
  };
}
