/** Which queues the Worker knows, and what becomes of the messages of another. */
import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { QUEUE_ENDINGS } from "../scripts/environments.mjs";
import { handleBatch } from "../src/queues";

test("a message of an unknown queue stays on it, is not a dead letter, and the log says what to do", async () => {
  const lines: string[] = [];
  const logged = vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
  const count = () => env.DB.prepare("select count(*) n from dead_letters").first("n");
  const before = await count();
  const message = { id: "1", timestamp: new Date(), attempts: 1, body: { theirs: true } };
  const batch = createMessageBatch("somebody-elses", [message]);
  const ctx = createExecutionContext();
  await handleBatch(batch, env, ctx);
  const result = await getQueueResult(batch, ctx);
  logged.mockRestore();
  expect(result).toMatchObject({ ackAll: false, explicitAcks: [], retryBatch: { retry: true } });
  expect(await count()).toBe(before);
  const said = lines
    .map((line) => JSON.parse(line))
    .find(({ queue }) => queue === "somebody-elses");
  expect(said.advice).toContain("src/queues.ts");
});

test.each(QUEUE_ENDINGS)(
  "the queue that ends with %s is known in every deployment",
  async (end) => {
    const logged = vi.spyOn(console, "log");
    for (const queue of [
      `drawbridge-${end}`,
      `drawbridge-staging-${end}`,
      `relay-of-acme-${end}`,
    ]) {
      const batch = createMessageBatch(queue, []);
      const ctx = createExecutionContext();
      await handleBatch(batch, env, ctx);
      expect(await getQueueResult(batch, ctx)).toMatchObject({ retryBatch: { retry: false } });
    }
    expect(logged.mock.calls.flat().join()).not.toContain("unknown queue");
    logged.mockRestore();
  },
);
