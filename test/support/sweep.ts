/** Runs the Worker's cron job by hand, with all messages that it puts on its queue. */
import {
  createExecutionContext,
  createMessageBatch,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { handleBatch } from "../../src/queues";
import { sweep } from "../../src/sweep/sweep";

/** As wrangler.toml sets it for the consumer of the sweep's queue. */
const BATCH = 5;
/** More than any test needs: a chain of messages that never ends fails its test. */
const MAX_BATCHES = 10_000;

/** Does one invocation of the Worker; a test may stand around it. */
export type Watch = (invocation: () => Promise<void>) => Promise<void>;

/** Bindings and vars that stand for those of the deployment. */
export type Bindings = {
  SESSIONS?: unknown;
  JOURNALS?: unknown;
  DATABASE_LIMIT_BYTES?: string;
  OPERATOR_ORGANISATION_ID?: string;
};

/**
 * One run of the sweep, and of the messages that it puts on its queue, until there are none left;
 * resolves when all that they started is done.
 * @param bindings others than the deployment's
 */
export async function sweepThrough(
  watch: Watch = (invocation) => invocation(),
  bindings: Bindings = {},
): Promise<void> {
  const sent: { body: unknown }[] = [];
  const sweeps = {
    sendBatch: async (some: Iterable<{ body: unknown }>) => void sent.push(...some),
  };
  const swept = { ...env, ...bindings, SWEEPS: sweeps } as unknown as Env;
  const invoke = (work: (ctx: ExecutionContext) => Promise<void>) =>
    watch(async () => {
      const ctx = createExecutionContext();
      await work(ctx);
      await waitOnExecutionContext(ctx);
    });
  await invoke((ctx) => sweep(swept, ctx));
  for (let i = 0; sent.length > 0; i++) {
    if (i === MAX_BATCHES) throw new Error("the sweep never comes to an end");
    const messages = sent.splice(0, BATCH).map(({ body }) => ({
      id: crypto.randomUUID(),
      timestamp: new Date(),
      attempts: 1,
      // As the queue carries it.
      body: JSON.parse(JSON.stringify(body)),
    }));
    const batch = createMessageBatch("drawbridge-sweep", messages);
    await invoke((ctx) => handleBatch(batch, swept, ctx));
  }
}

/** One run of the sweep, as it is now; resolves when all that it started is done. */
export function runSweep(): Promise<void> {
  return sweepThrough();
}
