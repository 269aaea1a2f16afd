/**
 * Reads that may be a few seconds old: from the copy of D1 that is nearest, if it is not older than that.
 *
 * With read replication on, D1 has copies in several regions. A copy "may be arbitrarily out of date", but
 * with a bookmark it answers only when it has all that D1 had when that bookmark was given
 * (https://developers.cloudflare.com/d1/best-practices/read-replication/, of 10 August 2026). So an isolate
 * remembers the newest bookmark that it has from the primary, and when it asked for it: what a copy answers
 * with that bookmark is never older. With replication off, the primary answers everything.
 */
import { drizzle } from "drizzle-orm/d1";
import { isDatabaseError } from "../platform/log";
import { TimedOut, withTimeout } from "../platform/wait";
import type { Database } from "./open";

/** How old an answer of a copy may be. The primary is asked when nothing younger is known of it. */
export const NEAR_MS = 5_000;
/** How long a query may take there. Most copies are 30 to 75 ms behind (Cloudflare, April 2025). */
const NEAR_WAIT_MS = 500;
/** For how long no copy is asked after one has failed or was late: it may be far behind. */
export const NEAR_PAUSE_MS = 60_000;

/** What was heard from the primary last: all that it had at this time is before this bookmark. */
let heard: { bookmark: string; at: number } | null = null;
/** Until when no copy is asked. Unix milliseconds. */
let pausedUntil = 0;
/** Rises with `forgetPrimary`, so that an answer to an earlier question is not remembered. */
let forgettings = 0;

/** What was read. */
export interface NearAnswer<T> {
  value: T;
  /** It has all that D1 had at this time, in Unix milliseconds of this isolate's clock. */
  asOf: number;
  /** Whether the primary has answered, and not a copy: then nothing was newer. */
  fromPrimary: boolean;
  /** A state of D1 that is in it. Null: D1 gave none, or nothing was read. */
  bookmark: string | null;
}

/**
 * Reads from the nearest copy what may be `NEAR_MS` old. The primary is asked instead if this isolate has
 * not heard of it for so long, or not of the state `atLeast`; and if the copy fails or takes too long.
 * @param atLeast a bookmark that a caller has sent. It is only compared, and never sent to D1
 * @param read may run twice, so it must change nothing. It uses only the database that it is given
 */
export async function readNear<T>(
  db: Database,
  { now, atLeast = "" }: { now: number; atLeast?: string },
  read: (db: Database) => Promise<T>,
): Promise<NearAnswer<T>> {
  const before = forgettings;
  if (heard && isYoung(heard.at, now) && now >= pausedUntil && atLeast <= heard.bookmark) {
    const { bookmark, at } = heard;
    const session = db.$client.withSession(bookmark);
    const copy = new NearQueries(session);
    try {
      const value = await read(toDatabase(copy));
      if (copy.answeredByPrimary()) return heardFromPrimary({ value, session, now, before });
      return { value, asOf: at, fromPrimary: false, bookmark };
    } catch (error) {
      // What a copy refuses may be right by now: the primary decides that too.
      if (error instanceof TimedOut || isDatabaseError(error)) pausedUntil = now + NEAR_PAUSE_MS;
    }
  }
  const session = db.$client.withSession("first-primary");
  const value = await read(toDatabase(session));
  return heardFromPrimary({ value, session, now, before });
}

interface Heard<T> {
  value: T;
  session: D1DatabaseSession;
  now: number;
  /** `forgettings` before the read. */
  before: number;
}

function heardFromPrimary<T>({ value, session, now, before }: Heard<T>): NearAnswer<T> {
  const bookmark = session.getBookmark();
  if (bookmark !== null && before === forgettings) heard = { bookmark, at: now };
  return { value, asOf: now, fromPrimary: true, bookmark };
}

/** Makes the next such read of this isolate ask the primary: something was changed here that it has to see. */
export function forgetPrimary(): void {
  forgettings += 1;
  heard = null;
}

function isYoung(at: number, now: number): boolean {
  return now >= at && now - at < NEAR_MS;
}

type Queries = Pick<D1Database, "prepare" | "batch">;

/** `prepare` and `batch` of a session are all that Drizzle (0.45) uses of D1. */
function toDatabase(queries: Queries): Database {
  return drizzle(queries as D1Database);
}

/** A session whose queries may take `NEAR_WAIT_MS` each. It hears who answers them. */
class NearQueries implements Queries {
  readonly #session: Queries;
  /** How many queries the primary may have answered, and how many a copy may have. */
  #byPrimary = 0;
  #byCopy = 0;

  constructor(session: Queries) {
    this.#session = session;
  }

  /**
   * Whether the primary has answered everything: it is the nearest, or there are no copies. D1 says who has
   * answered with each result, also while replication is off; only on a developer's machine, where there are no
   * copies, it does not (the page above, "Check where D1 request was processed"). `raw` gives no such result.
   */
  answeredByPrimary(): boolean {
    return this.#byPrimary > 0 && this.#byCopy === 0;
  }

  prepare(query: string): D1PreparedStatement {
    return this.#limited(this.#session.prepare(query));
  }

  async batch<T>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    const results = await withTimeout(NEAR_WAIT_MS, this.#session.batch<T>(statements));
    for (const result of results) this.#count(result);
    return results;
  }

  /** The statement itself, because a batch takes D1's own statements only. */
  #limited(statement: D1PreparedStatement): D1PreparedStatement {
    const { bind, all, raw, run } = statement;
    return Object.assign(statement, {
      bind: (...values: unknown[]) => this.#limited(bind.apply(statement, values)),
      all: async () => this.#count(await withTimeout(NEAR_WAIT_MS, all.call(statement))),
      run: async () => this.#count(await withTimeout(NEAR_WAIT_MS, run.call(statement))),
      raw: () => {
        this.#byCopy += 1;
        return withTimeout(NEAR_WAIT_MS, raw.call(statement));
      },
    });
  }

  #count<R extends D1Result>(result: R): R {
    if (result.meta.served_by_primary === false) this.#byCopy += 1;
    else this.#byPrimary += 1;
    return result;
  }
}
