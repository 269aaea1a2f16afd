/**
 * The Worker, with a line in its log for everything that the platform calls: each request, message of a
 * queue and run of the cron job, and of a Durable Object its start, and each of its methods. What is not
 * called reads and writes nothing, and an object that starts was asleep. `startServer` gives the lines.
 */
import worker, {
  JournalObject as Journal,
  RelayNodeObject as Node,
  SessionObject as Session,
} from "../../src/worker";
import { CALLED } from "./called";

export class SessionObject extends Session {
  constructor(ctx: DurableObjectState, env: Env) {
    console.log(`${CALLED}SessionObject starts`);
    super(ctx, env);
  }
}

export class RelayNodeObject extends Node {
  constructor(ctx: DurableObjectState, env: Env) {
    console.log(`${CALLED}RelayNodeObject starts`);
    super(ctx, env);
  }
}

export class JournalObject extends Journal {
  constructor(ctx: DurableObjectState, env: Env) {
    console.log(`${CALLED}JournalObject starts`);
    super(ctx, env);
  }
}

count("JournalObject", JournalObject.prototype, Journal.prototype);
count("SessionObject", SessionObject.prototype, Session.prototype);
count("RelayNodeObject", RelayNodeObject.prototype, Node.prototype);
const handlers = { ...worker };
count("Worker", handlers, worker);

export default handlers;

/** Gives `counted` the methods of `original`, with a line in the log for each call. */
function count(name: string, counted: object, original: object): void {
  for (const [method, { value }] of Object.entries(Object.getOwnPropertyDescriptors(original))) {
    if (method === "constructor" || typeof value !== "function") continue;
    Object.defineProperty(counted, method, {
      enumerable: true,
      value(this: unknown, ...args: unknown[]) {
        console.log(`${CALLED}${name}.${method}`);
        return Reflect.apply(value, this, args);
      },
    });
  }
}
