/**
 * Counts the rows that D1 and Durable Objects really read and write, by listening at the runtime's
 * own entry points: nothing is replaced, every call goes through. Key-value calls of an object
 * count one row each, and so does setAlarm, as they are billed (Durable Objects pricing, 2026-11).
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

/** Rows read and written, by store. */
export interface Rows {
  d1Read: number;
  d1Written: number;
  objectRead: number;
  objectWritten: number;
}

const total: Rows = { d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 };
const d1Statements: string[] = [];
let listening = false;

/** The rows that `work` costs. `work` must wait for what goes on after an answer. */
export async function rowsOf(work: () => Promise<unknown>): Promise<Rows> {
  await listen();
  const before = { ...total };
  await work();
  return {
    d1Read: total.d1Read - before.d1Read,
    d1Written: total.d1Written - before.d1Written,
    objectRead: total.objectRead - before.objectRead,
    objectWritten: total.objectWritten - before.objectWritten,
  };
}

/** The calls of D1 that `work` makes, each with its SQL, whether or not they find a row. */
export async function d1CallsOf(work: () => Promise<unknown>): Promise<string[]> {
  await listen();
  const before = d1Statements.length;
  await work();
  return d1Statements.slice(before);
}

/** All rows written, of both stores. */
export function written(rows: Rows): number {
  return rows.d1Written + rows.objectWritten;
}

async function listen(): Promise<void> {
  if (listening) return;
  listening = true;
  const session = Object.getPrototypeOf(env.DB.withSession());
  after(session, "_send", (answer, args) => {
    const statements = JSON.stringify(args);
    // Written after the answers of many requests, once a minute for each key: not the cost of one
    // request.
    if (statements.includes("set last_used_at")) return;
    d1Statements.push(statements);
    for (const { meta } of [answer].flat() as { meta: D1Meta }[]) {
      total.d1Read += meta.rows_read;
      total.d1Written += meta.rows_written;
    }
  });
  await runInDurableObject(env.SESSIONS.getByName("row-counter"), (_, { storage }) => {
    const kv = Object.getPrototypeOf(storage.kv);
    after(kv, "get", () => (total.objectRead += 1));
    after(kv, "put", () => (total.objectWritten += 1));
    after(kv, "delete", () => (total.objectWritten += 1));
    const all = Object.getPrototypeOf(storage);
    after(all, "getAlarm", () => (total.objectRead += 1));
    after(all, "setAlarm", () => (total.objectWritten += 1));
    after(all, "deleteAll", () => (total.objectWritten += 1));
  });
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function after(
  target: Record<string, Method>,
  name: string,
  heard: (answer: unknown, args: unknown[]) => void,
): void {
  const method = target[name];
  if (!method) throw new Error(`the runtime has no ${name} any more`);
  target[name] = function (...args) {
    const answer = method.apply(this, args);
    if (answer instanceof Promise) {
      return answer.then((value) => {
        heard(value, args);
        return value;
      });
    }
    heard(answer, args);
    return answer;
  };
}
