/**
 * How large D1 is. D1 says it with the answers to queries, so nobody has to ask: each isolate remembers what D1
 * said last.
 *
 * `meta.size_after` is the size in bytes after the query
 * (https://developers.cloudflare.com/d1/worker-api/return-object/, read on 26 November 2026). In workerd,
 * the runtime of D1 and of our tests, pages that removed rows have left free do not count: the size falls when
 * rows are removed (`test/db/size.test.ts`). `raw()`, with which Drizzle reads selected columns outside of a
 * batch, does not give it.
 */
import { type SQL, sql } from "drizzle-orm";

/** From this share of the limit on, operators are told. */
const FILLING = 0.7;
/** From this share on, nothing new is stored. The rest is for what exists: changes, ends, owed events. */
const FULL = 0.9;
/** An isolate that heard so long ago that D1 is full asks again before it refuses. Somebody may have made room. */
const ASK_AGAIN_MS = 10_000;

/** Whether D1 has room. `unlimited`: no limit is set. */
export type Space = "enough" | "filling" | "full" | "unlimited";

/** What D1 said last, to this isolate. */
interface HeardSize {
  bytes: number;
  /** Unix milliseconds. */
  at: number;
}

let heard: HeardSize | null = null;

/** What D1 said last of its size, in bytes. Null: it has said nothing to this isolate yet. */
export function heardSize(): number | null {
  return heard?.bytes ?? null;
}

/**
 * Whether so many bytes leave room.
 * @param limitBytes how large D1 may become; 0: no limit
 */
export function spaceOf(bytes: number, limitBytes: number): Space {
  if (limitBytes === 0) return "unlimited";
  if (bytes >= FULL * limitBytes) return "full";
  return bytes >= FILLING * limitBytes ? "filling" : "enough";
}

/** Asks D1 for its size, in bytes. It reads no row. */
export async function askSize(db: { run(query: SQL): Promise<D1Result> }): Promise<number> {
  const { meta } = await db.run(sql`select 1`);
  return meta.size_after;
}

/**
 * Whether nothing new may be stored now. It costs nothing while D1 has room. An isolate that has heard nothing
 * yet lets a create through: it hears the size with the answer to what that create writes, or to the
 * next key that it reads.
 */
export async function isFull(
  db: Parameters<typeof askSize>[0],
  limitBytes: number,
  now: number,
): Promise<boolean> {
  if (heard === null || spaceOf(heard.bytes, limitBytes) !== "full") return false;
  if (now - heard.at < ASK_AGAIN_MS && now >= heard.at) return true;
  // Of several requests, only one asks. The others are refused until it has an answer.
  heard = { bytes: heard.bytes, at: now };
  return spaceOf(await askSize(db), limitBytes) === "full";
}

/** D1 as Drizzle uses it, but the size in each answer is remembered. So are its sessions. */
export function withSizeHeard(d1: D1Database): D1Database {
  return {
    ...heardQueries(d1),
    withSession(from: string) {
      const session = d1.withSession(from);
      return { ...heardQueries(session), getBookmark: () => session.getBookmark() };
    },
  } as D1Database;
}

function heardQueries(d1: Pick<D1Database, "prepare" | "batch">) {
  return {
    prepare: (query: string) => listenTo(d1.prepare(query)),
    async batch<T>(statements: D1PreparedStatement[]) {
      const results = await d1.batch<T>(statements);
      hear(results.at(-1));
      return results;
    },
  };
}

/** Changes the statement itself and makes no other, because a batch takes D1's own statements only. */
function listenTo(statement: D1PreparedStatement): D1PreparedStatement {
  const { bind, run, all } = statement;
  return Object.assign(statement, {
    bind: (...values: unknown[]) => listenTo(bind.apply(statement, values)),
    run: async () => hear(await run.call(statement)),
    all: async () => hear(await all.call(statement)),
  });
}

function hear<R extends D1Result | undefined>(result: R): R {
  const bytes = result?.meta?.size_after;
  if (typeof bytes === "number") heard = { bytes, at: Date.now() };
  return result;
}
