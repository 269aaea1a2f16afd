/** The Worker's entry point: the handlers that the platform calls, and the classes of the Durable Objects. */
import { createApp } from "./app";
import { handleBatch } from "./queues";
import { sweep } from "./sweep/sweep";

export { JournalObject } from "./journals/object";
export { RelayNodeObject } from "./relay-nodes/object";
export { SessionObject } from "./session-object/object";

const app = createApp();

export default {
  fetch: app.fetch,
  queue: handleBatch,
  scheduled: (_controller, env, ctx) => sweep(env, ctx),
} satisfies ExportedHandler<Env>;
