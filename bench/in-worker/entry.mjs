/**
 * Takes the Worker's place while it is measured: the Worker as it is, with rate limits that are counted in
 * memory, and an entrypoint of its own (`Bench`) through which the bench moves the clock and runs the cron job.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { withLimits } from "./limits.mjs";
import worker from "./worker.js";

export * from "./worker.js";

const realNow = Date.now;
let ahead = 0;

export default {
  ...worker,
  fetch: (request, env, ctx) => worker.fetch(request, withLimits(env), ctx),
};

export class Bench extends WorkerEntrypoint {
  async fetch(request) {
    const { aheadMs, cron } = await request.json();
    if (aheadMs !== undefined) {
      ahead = aheadMs;
      // Only now: a clock that was never moved costs the Worker nothing.
      Date.now = () => realNow() + ahead;
    }
    if (cron) {
      const scheduledTime = Date.now();
      await worker.scheduled({ scheduledTime, cron: "* * * * *" }, this.env, this.ctx);
    }
    return Response.json({});
  }
}
