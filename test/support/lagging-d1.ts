/**
 * D1 with read replication on, and one copy that lags: it has what D1 had when `catchUp` was called last.
 * Which of the two answers is decided as Cloudflare has published it
 * (https://blog.cloudflare.com/d1-read-replication-beta/, 10 April 2025): the primary answers what has no
 * session, what begins with `first-primary` and what writes; the copy answers all else, and waits until it
 * has the session's bookmark. The primary is the real D1. The copy is the SQLite of a Durable Object.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

interface Query {
  sql: string;
  params: unknown[];
}

interface Rows {
  by: "primary" | "copy";
  columns: string[];
  rows: SqlStorageValue[][];
}

/** What answered a query of a session. */
export interface Served extends Query {
  by: "primary" | "copy";
}

let copies = 0;

export class LaggingD1 {
  /** What was asked in sessions, oldest first. A query for which the copy never had the bookmark is not here. */
  readonly served: Served[] = [];
  /** What was asked without a session, oldest first. */
  readonly plain: string[] = [];
  readonly #object = env.SESSIONS.getByName(`copy-of-d1-${copies++}`);
  /** The copy has all that D1 had when it gave this bookmark. */
  #bookmark = "";
  #waiting: (() => void)[] = [];

  /** The binding to give to an isolate in place of `DB`. */
  readonly binding = {
    prepare: (sql: string) => {
      this.plain.push(sql);
      return env.DB.prepare(sql);
    },
    batch: (statements: D1PreparedStatement[]) => env.DB.batch(statements),
    withSession: (from = "first-unconstrained") => new FakeSession(this, from),
  } as unknown as D1Database;

  /** Brings the copy up to date. */
  async catchUp(): Promise<void> {
    const session = env.DB.withSession("first-primary");
    const { results: tables } = await session
      .prepare(
        "select name, sql from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\' and name not like '\\_cf%' escape '\\'",
      )
      .all<{ name: string; sql: string }>();
    const bookmark = session.getBookmark() ?? "";
    const rows = await env.DB.batch<Record<string, SqlStorageValue>>(
      tables.map(({ name }) => env.DB.prepare(`select * from "${name}"`)),
    );
    await runInDurableObject(this.#object, (_, { storage }) => {
      for (const [at, { name, sql }] of tables.entries()) {
        storage.sql.exec(`drop table if exists "${name}"`);
        storage.sql.exec(sql);
        for (const row of rows[at]?.results ?? []) {
          const marks = Object.keys(row).map(() => "?");
          storage.sql.exec(`insert into "${name}" values (${marks})`, ...Object.values(row));
        }
      }
    });
    this.#bookmark = bookmark;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Answers queries of one request of a session, and gives the session's next bookmark. */
  async answer(from: string, queries: Query[]): Promise<{ answers: Rows[]; bookmark: string }> {
    const reads = queries.every(({ sql }) => /^\s*(select|with)\b/i.test(sql));
    const by: Served["by"] = from === "first-primary" || !reads ? "primary" : "copy";
    if (by === "copy" && from !== "first-unconstrained") {
      while (this.#bookmark < from) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
    this.served.push(...queries.map((query) => ({ by, ...query }) as const));
    if (by === "copy") {
      const answers = await runInDurableObject(this.#object, (_, { storage }) =>
        queries.map(({ sql, params }) => {
          const cursor = storage.sql.exec(sql, ...params);
          return { by, columns: cursor.columnNames, rows: [...cursor.raw()] };
        }),
      );
      return { answers, bookmark: this.#bookmark };
    }
    const session = env.DB.withSession("first-primary");
    const answers = [];
    for (const { sql, params } of queries) {
      const [columns = [], ...rows] = await session
        .prepare(sql)
        .bind(...params)
        .raw<SqlStorageValue[]>({ columnNames: true });
      answers.push({ by, columns: columns as string[], rows });
    }
    return { answers, bookmark: session.getBookmark() ?? "" };
  }
}

class FakeSession {
  readonly #d1: LaggingD1;
  #from: string;

  constructor(d1: LaggingD1, from: string) {
    this.#d1 = d1;
    this.#from = from;
  }

  prepare(sql: string): FakeStatement {
    return new FakeStatement(this, { sql, params: [] });
  }

  async batch(statements: FakeStatement[]) {
    return (await this.send(statements.map(({ query }) => query))).map(toResult);
  }

  async send(queries: Query[]): Promise<Rows[]> {
    const { answers, bookmark } = await this.#d1.answer(this.#from, queries);
    if (this.getBookmark() === null || bookmark > this.#from) this.#from = bookmark;
    return answers;
  }

  getBookmark(): string | null {
    return this.#from.startsWith("first-") ? null : this.#from;
  }
}

class FakeStatement {
  readonly query: Query;
  readonly #session: FakeSession;

  constructor(session: FakeSession, query: Query) {
    this.#session = session;
    this.query = query;
  }

  bind(...params: unknown[]): FakeStatement {
    return new FakeStatement(this.#session, { sql: this.query.sql, params });
  }

  async all() {
    return toResult(await this.#rows());
  }

  async run() {
    return toResult(await this.#rows());
  }

  async raw() {
    return (await this.#rows()).rows;
  }

  async #rows(): Promise<Rows> {
    const [rows] = await this.#session.send([this.query]);
    if (!rows) throw new Error("one query has one answer");
    return rows;
  }
}

function toResult({ by, columns, rows }: Rows) {
  const results = rows.map((row) =>
    Object.fromEntries(columns.map((column, at) => [column, row[at]])),
  );
  return { success: true, results, meta: { served_by_primary: by === "primary" } };
}
