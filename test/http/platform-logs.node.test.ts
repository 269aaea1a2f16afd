/** What the platform itself logs, as wrangler reads it from the settings of the deployment. */
import { describe, expect, test } from "vitest";
import { unstable_readConfig } from "wrangler";

const { observability } = unstable_readConfig({ config: "./wrangler.toml" });

describe("the platform's own logs", () => {
  test("keep the lines that the Worker writes", () => {
    expect(observability).toMatchObject({ enabled: true, logs: { enabled: true } });
  });

  test("have no line for each request and websocket message: those would show tokens and cost most of the bill", () => {
    expect(observability?.logs?.invocation_logs).toBe(false);
  });

  test("have no trace of each request", () => {
    expect(observability?.traces?.enabled).toBe(false);
  });

  test("show no query string of a URL, which holds the tokens of a websocket", () => {
    expect(observability?.redact_query_string).toBe(true);
  });
});
