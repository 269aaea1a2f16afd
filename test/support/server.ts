/** The Worker as `wrangler dev` serves it on loopback, for tests that are clients of their own, in Node. */
import { resolve } from "node:path";
import { createTestHarness, unstable_readConfig } from "wrangler";
import { CALLED } from "./called";

const { DRAWBRIDGE_SECRET = "", DRAWBRIDGE_ROOT_TOKEN = "" } = process.env;

export interface TestServer {
  /** Such as `http://127.0.0.1:12345`. */
  origin: string;
  /** A new organisation of this name, with its first key, as the API answers it. */
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  newOrganisation(name: string): Promise<any>;
  /** D1 and the objects of the Worker, for what no call of the API makes: rows of the past, or very many. */
  bindings(): Promise<Env>;
  /** Runs what the cron runs every minute. */
  runCron(): Promise<void>;
  /** Starts the Worker anew, as a deploy does. What is stored stays. */
  restart(): Promise<void>;
  /**
   * What the platform has called since the start, oldest first, such as `SessionObject.fetch`, or
   * `SessionObject starts`. Only of a server that counts.
   */
  calls(): string[];
  close(): Promise<void>;
}

export interface ServerOptions {
  /** It says what the platform calls: `calls`. */
  counts?: boolean;
  /** Variables of wrangler.toml with other values, such as `ALLOW_INSECURE_WEBHOOKS`. */
  settings?: Record<string, string>;
}

/** Builds and serves the Worker with its files, on a D1 of its own. */
export async function startServer({
  counts = false,
  settings = {},
}: ServerOptions = {}): Promise<TestServer> {
  const secrets = { DRAWBRIDGE_SECRET, DRAWBRIDGE_ROOT_TOKEN, ...settings };
  const harness = createTestHarness({
    workers: [counts ? countedWorker(secrets) : { configPath: "./wrangler.toml", secrets }],
  });
  const { url } = await harness.listen();
  await harness.getWorker().applyD1Migrations("DB");
  return {
    origin: url.origin,
    newOrganisation: async (name) => {
      const response = await fetch(new URL("/v1/organisations", url), {
        method: "POST",
        headers: { Authorization: `Bearer ${DRAWBRIDGE_ROOT_TOKEN}` },
        body: JSON.stringify({ name }),
      });
      if (response.status !== 201) throw new Error(`no organisation: ${await response.text()}`);
      return response.json();
    },
    bindings: () => harness.getWorker<Env>().getEnv(),
    runCron: async () => {
      await harness.getWorker().scheduled({ cron: "* * * * *", scheduledTime: new Date() });
    },
    restart: () => harness.update((options) => options),
    calls: () =>
      harness
        .getLogs()
        .filter(({ message }) => message.startsWith(CALLED))
        .map(({ message }) => message.slice(CALLED.length)),
    close: () => harness.close(),
  };
}

/** The Worker of `wrangler.toml`, with `counted-worker.ts` around it. */
function countedWorker(secrets: Record<string, string>) {
  const { secrets: _named, vars, ...config } = unstable_readConfig({ config: "wrangler.toml" });
  const main = resolve("test/support/counted-worker.ts");
  return { config: { ...config, main, vars: { ...vars, ...secrets } } };
}
