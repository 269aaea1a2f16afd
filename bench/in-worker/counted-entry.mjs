/**
 * As `entry.mjs`, for the bench that counts: everything that the Worker and its objects do is counted, and the
 * entrypoint `Bench` tells the counts. Nothing is replaced, every call goes through.
 */
import worker, {
  JournalObject as Journal,
  RelayNodeObject as Node,
  SessionObject as Session,
} from "./worker.js";
import { counts, countHandlers, countMethods, listenToD1, listenToStorage } from "./counting.mjs";
import entry, { Bench as Control } from "./entry.mjs";

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
}

countMethods(SessionObject.prototype, Session.prototype);
countMethods(RelayNodeObject.prototype, Node.prototype);
countMethods(JournalObject.prototype, Journal.prototype);

export default countHandlers({ ...worker, fetch: entry.fetch });

export class Bench extends Control {
  async fetch(request) {
    listenToD1(this.env.DB);
    if (new URL(request.url).pathname === "/counts") return Response.json(counts);
    return super.fetch(request);
  }
}
