/**
 * Counts the rows that D1 and Durable Objects really read and write, by listening at the runtime's
 * own entry points: nothing is replaced, every call goes through. Key-value calls of an object
 * count one row each, and so does setAlarm, as they are billed (Durable Objects pricing, 2026-11).
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { eventually } from "./eventually";

/** Rows read and written, by store. */
export interface Rows {
  d1Read: number;
  d1Written: number;
  objectRead: number;
  objectWritten: number;
}

/** What one piece of work has cost so far. */
interface Seen {
  rows: Rows;
  d1Statements: string[];
}

/** In a query with which a test only looks, so that its rows are not counted. */
export const UNCOUNTED = "/* a test looks */";

const open = new Set<Seen>();
let listening = false;

/**
 * The rows of the calls that are made while `work` is under way. `work` must wait for what goes on
 * after an answer. What goes on from before counts too, where it makes another call: `settled` waits
 * for it.
 */
export async function rowsOf(work: () => Promise<unknown>): Promise<Rows> {
  return { ...(await watch(work)).rows };
}

/** The calls of D1 that `work` makes, each with its SQL, whether or not they find a row. */
export async function d1CallsOf(work: () => Promise<unknown>): Promise<string[]> {
  return [...(await watch(work)).d1Statements];
}

async function watch(work: () => Promise<unknown>): Promise<Seen> {
  await listen();
  const rows = { d1Read: 0, d1Written: 0, objectRead: 0, objectWritten: 0 };
  const seen: Seen = { rows, d1Statements: [] };
  open.add(seen);
  try {
    await work();
  } finally {
    open.delete(seen);
  }
  return seen;
}

/**
 * Waits until the work after all answers is done, so that what is counted next has none of its rows:
 * no event is owed, and every event of a session is recorded. It writes nothing.
 */
export async function settled(): Promise<void> {
  await eventually(async () => {
    const counts = await env.DB.prepare(
      `select (select count(*) from owed_events) as owed,
        (select count(*) from sessions where announced < version) as unannounced`,
    ).first();
    expect(counts).toEqual({ owed: 0, unannounced: 0 });
  });
}

/** All rows written, of both stores. */
export function written(rows: Rows): number {
  return rows.d1Written + rows.objectWritten;
}

async function listen(): Promise<void> {
  if (listening) return;
  listening = true;
  const session = Object.getPrototypeOf(env.DB.withSession());
  after(session, "_send", (seen, answer, args) => {
    const statements = JSON.stringify(args);
    // Written after the answers of many requests, once a minute for each key: not the cost of one
    // request.
    if (statements.includes("set last_used_at") || statements.includes(UNCOUNTED)) return;
    seen.d1Statements.push(statements);
    for (const { meta } of [answer].flat() as { meta: D1Meta }[]) {
      seen.rows.d1Read += meta.rows_read;
      seen.rows.d1Written += meta.rows_written;
    }
  });
  await runInDurableObject(env.SESSIONS.getByName("row-counter"), (_, { storage }) => {
    const kv = Object.getPrototypeOf(storage.kv);
    after(kv, "get", ({ rows }) => (rows.objectRead += 1));
    after(kv, "put", ({ rows }) => (rows.objectWritten += 1));
    after(kv, "delete", ({ rows }) => (rows.objectWritten += 1));
    const all = Object.getPrototypeOf(storage);
    after(all, "getAlarm", ({ rows }) => (rows.objectRead += 1));
    after(all, "setAlarm", ({ rows }) => (rows.objectWritten += 1));
    after(all, "deleteAll", ({ rows }) => (rows.objectWritten += 1));
    // Journals have tables. A cursor reads while it is gone through, inside its object.
    after(Object.getPrototypeOf(storage.sql), "exec", ({ rows }, cursor) => {
      const { rowsRead, rowsWritten } = cursor as Cursor;
      rows.objectWritten += rowsWritten;
      countRead(rows, cursor as Cursor, rowsRead);
    });
    listenToCursors(Object.getPrototypeOf(storage.sql.exec("select 1")));
  });
}

type Cursor = Iterable<unknown> & { rowsRead: number; rowsWritten: number };

/** How many rows of a cursor each piece of work has been told of. */
const told = new WeakMap<Rows, WeakMap<Cursor, number>>();

function countRead(rows: Rows, cursor: Cursor, rowsRead: number): void {
  const known = told.get(rows) ?? new WeakMap<Cursor, number>();
  told.set(rows, known);
  rows.objectRead += rowsRead - (known.get(cursor) ?? 0);
  known.set(cursor, rowsRead);
}

/** Counts what cursors read after their query was made. */
function listenToCursors(cursors: Cursor & { toArray: () => unknown[] }): void {
  const heard = (cursor: Cursor) => {
    for (const { rows } of open) countRead(rows, cursor, cursor.rowsRead);
  };
  const { toArray } = cursors;
  cursors.toArray = function (this: Cursor) {
    const all = toArray.call(this);
    heard(this);
    return all;
  };
  const iterate = cursors[Symbol.iterator];
  cursors[Symbol.iterator] = function* (this: Cursor) {
    const rows = iterate.call(this);
    for (let next = rows.next(); !next.done; next = rows.next()) {
      heard(this);
      yield next.value;
    }
    heard(this);
  };
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Tells each piece of work that was under way when the method was called of its answer. */
function after(
  target: Record<string, Method>,
  name: string,
  tell: (seen: Seen, answer: unknown, args: unknown[]) => void,
): void {
  const method = target[name];
  if (!method) throw new Error(`the runtime has no ${name} any more`);
  target[name] = function (...args) {
    const under = [...open];
    const heard = (answer: unknown) => {
      for (const seen of under) tell(seen, answer, args);
    };
    const answer = method.apply(this, args);
    if (answer instanceof Promise) {
      return answer.then((value) => {
        heard(value);
        return value;
      });
    }
    heard(answer);
    return answer;
  };
}
