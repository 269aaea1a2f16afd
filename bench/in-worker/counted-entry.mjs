/**
 * As `entry.mjs`, for the bench that counts: everything that the Worker and its objects do is counted, and the
 * entrypoint `Bench` tells the counts. Nothing is replaced, every call goes through.
 */

import { countHandlers, countMethods, counts, listenToD1, listenToStorage } from "./counting.mjs";
import entry, { Bench as Control } from "./entry.mjs";
import worker, {
  JournalObject as Journal,
  RelayNodeObject as Node,
  SessionObject as Session,
} from "./worker.js";

export * from "./worker.js";

export class SessionObject extends Session {
  constructor(ctx, env) {
    listenToStorage(ctx.storage);
    listenToD1(env.DB);
    super(ctx, env);
  }
}

export class RelayNodeObject extends Node {
  constructor(ctx, env) {
    listenToStorage(ctx.storage);
    super(ctx, env);
  }
}

export class JournalObject extends Journal {
  constructor(ctx, env) {
    listenToStorage(ctx.storage);
    listenToD1(env.DB);
    super(ctx, env);
  }

  /** Adds copies of an event, with these numbers in their ids, and its time. */
  benchCopies({ from, to }) {
    this.ctx.storage.sql.exec(
      `insert into events
        with recursive n (i) as (select ?1 union all select i + 1 from n where i < ?2)
        select unhex(substr(hex(id), 1, 12) || printf('7000A%015X', i)), part, type, at, data, deliveries, null
        from (select * from events order by id limit 1), n`,
      from,
      to,
    );
  }
}

countMethods(SessionObject.prototype, Session.prototype);
countMethods(RelayNodeObject.prototype, Node.prototype);
countMethods(JournalObject.prototype, Journal.prototype);

export default countHandlers({ ...worker, fetch: entry.fetch });

export class Bench extends Control {
  async fetch(request) {
    listenToD1(this.env.DB);
    const { pathname } = new URL(request.url);
    if (pathname === "/counts") return Response.json(counts);
    if (pathname !== "/copy-events") return super.fetch(request);
    const { organisationId, range } = await request.json();
    const day = new Date().toISOString().slice(0, 10);
    await this.env.JOURNALS.getByName(`${organisationId}/${day}/0`).benchCopies(range);
    return Response.json({});
  }
}
