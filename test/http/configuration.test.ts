/** Without its secrets the Worker serves nothing, and says which one is missing and what to do. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/app";
import { ConfigError, readConfig } from "../../src/platform/config";
import { ORIGIN } from "../support/client";

type Vars = Record<string, unknown>;

/** The settings of the tests with these changes; undefined removes a setting. */
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

describe.each(["DRAWBRIDGE_SECRET", "DRAWBRIDGE_ROOT_TOKEN"])("a Worker whose %s", (name) => {
  test.each<[string, string | undefined, string]>([
    ["missing", undefined, "is missing"],
    ["empty", "", "is shorter than 32 characters"],
    ["of 31 characters", SHORT, "is shorter than 32 characters"],
  ])("is %s serves nothing on any surface, and says what to set", async (_, value, said) => {
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

  test("has 32 characters serves everything", async () => {
    expect((await ask("/v1/ip", { [name]: "x".repeat(32) })).status).toBe(200);
  });
});

test("a wrong configuration names all that is wrong at once", () => {
  const broken = envWith({ DRAWBRIDGE_SECRET: undefined, DRAWBRIDGE_ROOT_TOKEN: "x" });
  expect(() => readConfig(broken)).toThrow(ConfigError);
  expect(() => readConfig(broken)).toThrow(/DRAWBRIDGE_SECRET is missing.*DRAWBRIDGE_ROOT_TOKEN/);
});

describe("a setting with a value that cannot be read is refused by name", () => {
  test.each<[string, unknown]>([
    ["RETENTION_DAYS", "soon"],
    ["RETENTION_DAYS", "0"],
    ["RETENTION_DAYS", "-1"],
    ["RETENTION_DAYS", "0x1e"],
    ["RETENTION_DAYS", "1e9"],
    ["LOG_REQUESTS", "none"],
    ["LOG_REQUESTS", "1"],
    ["LOG_REQUESTS", true],
    ["FAILED_AUTH_PER_MINUTE", "many"],
    ["FAILED_AUTH_PER_MINUTE", "-1"],
    ["FAILED_AUTH_PER_MINUTE", "1.5"],
    ["FAILED_AUTH_PER_MINUTE", "0x10"],
    ["FAILED_AUTH_PER_MINUTE", true],
    ["HOSTED_SESSIONS_PER_MINUTE", "all"],
    ["DATABASE_LIMIT_BYTES", "10 GB"],
    ["OPERATOR_ORGANISATION_ID", "Acme"],
    ["RELAY_BYTES_PER_SECOND", "x"],
    ["RELAY_BURST_BYTES", "-1"],
    ["RELAY_MESSAGES_PER_SECOND", "x"],
    ["RELAY_BURST_MESSAGES", "x"],
    ["RELAY_UNHEARD_BYTES", "1e400"],
    ["RELAY_BROADCAST_BYTES_PER_SECOND", "8 MiB"],
    ["WEBHOOK_RETRY_SECONDS", "5,soon"],
    ["ALLOW_INSECURE_WEBHOOKS", "no"],
    ["ALLOW_INSECURE_WEBHOOKS", "yes"],
    ["ALLOW_INSECURE_WEBHOOKS", "2"],
    ["ALLOW_INSECURE_WEBHOOKS", "offf"],
    ["ALLOW_INSECURE_WEBHOOKS", "__proto__"],
    ["OWN_HOSTNAMES", "https://relay.example.com"],
    ["OWN_HOSTNAMES", "relay.example.com/v1"],
    ["OWN_HOSTNAMES", "relay.example.com other.example.com"],
    ["OWN_HOSTNAMES", "relay.example.com,,other.example.com"],
    ["CORS_ORIGINS", "*"],
    ["CORS_ORIGINS", "null"],
    ["CORS_ORIGINS", "game.example.com"],
    ["CORS_ORIGINS", "https://game.example.com/"],
    ["CORS_ORIGINS", "https://game.example.com:443"],
    ["CORS_ORIGINS", "https://*.example.com"],
    ["CORS_ORIGINS", "https://user@game.example.com"],
    ["CORS_ORIGINS", "https://game.example.com https://b.example.com"],
    ["CORS_ORIGINS", "https://game.example.com,,https://b.example.com"],
    ["CF_ACCESS_TEAM", "https://team"],
  ])("%s = %s", (name, value) => {
    expect(() => readConfig(envWith({ [name]: value }))).toThrow(ConfigError);
    expect(() => readConfig(envWith({ [name]: value }))).toThrow(name);
  });
});

test("settings that are not set have the documented defaults", () => {
  const bare = envWith({
    RETENTION_DAYS: undefined,
    LOG_REQUESTS: undefined,
    FAILED_AUTH_PER_MINUTE: undefined,
    HOSTED_SESSIONS_PER_MINUTE: undefined,
    DATABASE_LIMIT_BYTES: undefined,
    OPERATOR_ORGANISATION_ID: undefined,
    RELAY_BYTES_PER_SECOND: undefined,
    RELAY_BURST_BYTES: undefined,
    RELAY_MESSAGES_PER_SECOND: undefined,
    RELAY_BURST_MESSAGES: undefined,
    WEBHOOK_RETRY_SECONDS: undefined,
    ALLOW_INSECURE_WEBHOOKS: undefined,
  });
  expect(readConfig(bare)).toMatchObject({
    retentionDays: 30,
    logRequests: "some",
    failedAuthPerMinute: 300,
    hostedSessionsPerMinute: 600,
    databaseLimitBytes: 10_000_000_000,
    operatorOrganisationId: null,
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

test("LOG_REQUESTS is read in upper or lower case", () => {
  const read = (value: string) => readConfig(envWith({ LOG_REQUESTS: value })).logRequests;
  expect(["all", " ALL ", "Some", ""].map(read)).toEqual(["all", "all", "some", "some"]);
});

describe("ALLOW_INSECURE_WEBHOOKS", () => {
  test.each<[boolean, unknown[]]>([
    [true, ["1", "true", "TRUE", "on", "On", " on ", 1, true]],
    [false, ["0", "false", "FALSE", "off", "OFF", "", "  ", undefined, 0, false]],
  ])("is read as %s for each of its words, in upper or lower case", (expected, words) => {
    for (const word of words) {
      const config = readConfig(envWith({ ALLOW_INSECURE_WEBHOOKS: word }));
      expect(config.allowInsecureWebhooks, String(word)).toBe(expected);
    }
  });
});

test.each(["", "  ", undefined])(
  "a setting of %j has its default, and switches nothing off",
  (no) => {
    const names = Object.keys(env).filter((name) =>
      /^(RETENTION|FAILED|HOSTED|RELAY|WEBHOOK)_/.test(name),
    );
    expect(names.length).toBeGreaterThan(6);
    const none = Object.fromEntries(names.map((name) => [name, no]));
    const unset = Object.fromEntries(names.map((name) => [name, undefined]));
    expect(readConfig(envWith(none))).toEqual(readConfig(envWith(unset)));
    expect(readConfig(envWith(none)).failedAuthPerMinute).toBe(300);
  },
);

test("the deployment's hostnames are read one by one from their list", () => {
  const names = " Relay.Example.com ,drawbridge.acme.workers.dev:8443";
  expect(readConfig(envWith({ OWN_HOSTNAMES: names })).ownHostnames).toEqual([
    "relay.example.com",
    "drawbridge.acme.workers.dev:8443",
  ]);
  expect(readConfig(envWith({ OWN_HOSTNAMES: "" })).ownHostnames).toEqual([]);
});

test("the origins of pages are read one by one from their list", () => {
  const origins = " https://Game.example.com ,http://localhost:5173,capacitor://localhost";
  expect(readConfig(envWith({ CORS_ORIGINS: origins })).corsOrigins).toEqual([
    "https://game.example.com",
    "http://localhost:5173",
    "capacitor://localhost",
  ]);
  expect(readConfig(envWith({ CORS_ORIGINS: "" })).corsOrigins).toEqual([]);
});
