/** Without its secrets the Worker serves nothing, and says which one is missing and what to do. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { ConfigError, readConfig } from "../../src/platform/config";
import { ORIGIN } from "../support/client";

type Vars = Record<string, string | undefined>;

/** The settings of the tests with these changed; undefined takes one away. */
function envWith(vars: Vars): Env {
  return Object.fromEntries(
    Object.entries({ ...env, ...vars }).filter(([, value]) => value !== undefined),
  ) as unknown as Env;
}

async function ask(path: string, vars: Vars) {
  const answer = await createApp().fetch(
    new Request(ORIGIN + path, { headers: { Authorization: "token x" } }),
    envWith(vars),
    createExecutionContext(),
  );
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

const SHORT = "short-secret-of-31-characters-x";

describe.each(["DRAWBRIDGE_SECRET", "DRAWBRIDGE_ROOT_TOKEN"])("%s", (name) => {
  test.each<[string, string | undefined, string]>([
    ["missing", undefined, "is missing"],
    ["empty", "", "is shorter than 32 characters"],
    ["of 31 characters", SHORT, "is shorter than 32 characters"],
  ])("%s: nothing is served on any surface, and the message says so", async (_, value, said) => {
    expect(SHORT).toHaveLength(31);
    for (const path of ["/v1/health", "/v1/ip", "/v1/organisations", "/v1/relays/sessions"]) {
      const { status, text, headers } = await ask(path, { [name]: value });
      expect(status).toBe(503);
      expect(text).toContain(`${name} ${said}`);
      expect(text).toContain(".dev.vars");
      expect(text).not.toContain(SHORT);
      expect(headers.get("X-Request-Id")).toBeTruthy();
    }
  });

  test("of 32 characters: everything is served", async () => {
    expect((await ask("/v1/ip", { [name]: "x".repeat(32) })).status).toBe(200);
  });
});

test("all that is wrong is named at once", () => {
  const broken = envWith({ DRAWBRIDGE_SECRET: undefined, DRAWBRIDGE_ROOT_TOKEN: "x" });
  expect(() => readConfig(broken)).toThrow(ConfigError);
  expect(() => readConfig(broken)).toThrow(/DRAWBRIDGE_SECRET is missing.*DRAWBRIDGE_ROOT_TOKEN/);
});

describe("a setting that is no such thing is refused", () => {
  test.each<[string, string]>([
    ["RETENTION_DAYS", "soon"],
    ["RETENTION_DAYS", "0"],
    ["RETENTION_DAYS", "-1"],
    ["FAILED_AUTH_PER_MINUTE", "many"],
    ["FAILED_AUTH_PER_MINUTE", "-1"],
    ["FAILED_AUTH_PER_MINUTE", "1.5"],
    ["RELAY_BYTES_PER_SECOND", "x"],
    ["RELAY_BURST_BYTES", "-1"],
    ["RELAY_MESSAGES_PER_SECOND", "x"],
    ["RELAY_BURST_MESSAGES", "x"],
    ["WEBHOOK_RETRY_SECONDS", "5,soon"],
  ])("%s = %s", (name, value) => {
    expect(() => readConfig(envWith({ [name]: value }))).toThrow(ConfigError);
    expect(() => readConfig(envWith({ [name]: value }))).toThrow(name);
  });
});

test("settings that nobody made have the documented defaults", () => {
  const bare = envWith({
    RETENTION_DAYS: undefined,
    FAILED_AUTH_PER_MINUTE: undefined,
    RELAY_BYTES_PER_SECOND: undefined,
    RELAY_BURST_BYTES: undefined,
    RELAY_MESSAGES_PER_SECOND: undefined,
    RELAY_BURST_MESSAGES: undefined,
    WEBHOOK_RETRY_SECONDS: undefined,
    ALLOW_INSECURE_WEBHOOKS: undefined,
  });
  expect(readConfig(bare)).toMatchObject({
    retentionDays: 30,
    failedAuthPerMinute: 300,
    relay: {
      bytesPerSecond: 256 * 1_024,
      burstBytes: 1_024 * 1_024,
      messagesPerSecond: 500,
      burstMessages: 1_000,
    },
    webhookRetrySeconds: [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000],
    allowInsecureWebhooks: false,
  });
});

test("insecure webhook addresses are allowed only by a word that says so", () => {
  for (const no of ["", "0", "false", "FALSE", "no", "No"]) {
    const config = readConfig(envWith({ ALLOW_INSECURE_WEBHOOKS: no }));
    expect(config.allowInsecureWebhooks).toBe(false);
  }
  const config = readConfig(envWith({ ALLOW_INSECURE_WEBHOOKS: "1" }));
  expect(config.allowInsecureWebhooks).toBe(true);
});
