/** The Worker as `wrangler dev` serves it on loopback, for tests that are clients of their own, in Node. */
import { createTestHarness } from "wrangler";

const { DRAWBRIDGE_SECRET = "", DRAWBRIDGE_ROOT_TOKEN = "" } = process.env;

export interface TestServer {
  /** Such as `http://127.0.0.1:12345`. */
  origin: string;
  /** A new organisation of this name, with its first key, as the API answers it. */
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  newOrganisation(name: string): Promise<any>;
  /** Starts the Worker anew, as a deploy does. What is stored stays. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Builds and serves the Worker with its files, on a D1 of its own. */
export async function startServer(): Promise<TestServer> {
  const secrets = { DRAWBRIDGE_SECRET, DRAWBRIDGE_ROOT_TOKEN };
  const harness = createTestHarness({ workers: [{ configPath: "./wrangler.toml", secrets }] });
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
    restart: () => harness.update((options) => options),
    close: () => harness.close(),
  };
}
