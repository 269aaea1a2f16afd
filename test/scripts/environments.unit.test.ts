/** What is made of wrangler.toml for a deployment beside production. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { experimental_readRawConfig } from "wrangler";
import { environmentConfig, queueNames, requireKnownQueues } from "../../scripts/environments.mjs";

const production: Config = readRaw("wrangler.toml");

// biome-ignore lint/suspicious/noExplicitAny: whatever stands in the file, as the script takes it.
type Config = any;

function readRaw(config: string): Config {
  return experimental_readRawConfig({ config }).rawConfig;
}

/** Everything by which a deployment names what belongs to the account. */
function resources(config: Config): string[] {
  return [
    config.name,
    ...config.d1_databases.map((database: Config) => database.database_name),
    ...queueNames(config),
    ...config.ratelimits.map((limit: Config) => limit.namespace_id),
  ];
}

describe("an environment", () => {
  const staging = environmentConfig(production, "staging");

  test("has as many resources as production, and shares none", () => {
    expect(new Set(resources(staging)).size).toBe(new Set(resources(production)).size);
    expect(resources(staging).filter((name) => resources(production).includes(name))).toEqual([]);
  });

  test("names them after itself", () => {
    expect(resources(staging).slice(0, 3)).toEqual([
      "drawbridge-staging",
      "drawbridge-staging",
      "drawbridge-staging-deliveries",
    ]);
  });

  test("sends to the queues that it reads, and its dead letters to its own queue", () => {
    const { producers, consumers } = staging.queues;
    const read = consumers.map((consumer: Config) => consumer.queue);
    expect(read).toEqual(expect.arrayContaining(producers.map(({ queue }: Config) => queue)));
    expect(read).toContain(consumers[0].dead_letter_queue);
  });

  test("has all else as production has it: code, bindings, settings, limits", () => {
    const { name, d1_databases, queues, ratelimits, ...same } = production;
    expect(staging).toMatchObject(same);
    expect(staging.d1_databases[0]).toMatchObject({ binding: "DB", migrations_dir: "migrations" });
    expect(staging.ratelimits[0].simple).toEqual(ratelimits[0].simple);
    expect(staging.queues.consumers[0].max_retries).toBe(queues.consumers[0].max_retries);
  });

  test("never has production's database, even where its id is known", () => {
    const id = "5b1d8a5e-0000-4000-8000-000000000001";
    const deployed = structuredClone(production);
    deployed.d1_databases[0].database_id = id;
    expect(JSON.stringify(environmentConfig(deployed, "staging"))).not.toContain(id);
  });

  test("does not answer at production's addresses, but at one of its own", () => {
    const routes = [{ pattern: "relay.example.com", custom_domain: true }];
    const config = environmentConfig({ ...production, routes, workers_dev: false }, "staging");
    expect(JSON.stringify(config)).not.toContain("relay.example.com");
    expect(config.workers_dev).toBe(true);
  });

  test("has the same names each time, and other ones than another environment", () => {
    expect(environmentConfig(production, "staging")).toEqual(staging);
    const shared = resources(environmentConfig(production, "staging-2")).filter((name) =>
      resources(staging).includes(name),
    );
    expect(shared).toEqual([]);
  });

  test("differs where its owner wants it to: vars are added, other keys are replaced", () => {
    const changes = {
      vars: { OWN_HOSTNAMES: "staging.example.com" },
      routes: [{ pattern: "staging.example.com", custom_domain: true }],
    };
    const config: Config = environmentConfig(production, "staging", changes);
    expect(config.vars).toEqual({ ...production.vars, ...changes.vars });
    expect(config.routes).toEqual(changes.routes);
  });

  test.each<[string, Config]>([
    ["the Worker drawbridge", { name: production.name }],
    ["the database drawbridge", { d1_databases: production.d1_databases }],
    ["the queue drawbridge-deliveries", { queues: production.queues }],
    ["the rate limit", { ratelimits: production.ratelimits }],
    ["the route relay.example.com", { routes: ["relay.example.com"] }],
    [
      "the Worker elsewhere",
      { durable_objects: { bindings: [{ name: "SESSIONS", script_name: "elsewhere" }] } },
    ],
  ])("is refused if its own file names %s, which is production's", (resource, changes) => {
    const deployed = {
      ...production,
      routes: [{ pattern: "relay.example.com", custom_domain: true }],
      durable_objects: { bindings: [{ name: "SESSIONS", script_name: "elsewhere" }] },
    };
    const own = { durable_objects: production.durable_objects };
    expect(() => environmentConfig(deployed, "staging", { ...own, ...changes })).toThrow(
      `would use what belongs to production: ${resource}`,
    );
    expect(() => environmentConfig(deployed, "staging", own)).not.toThrow();
  });

  test("is refused if its own file names production's database by its id alone", () => {
    const id = "5b1d8a5e-0000-4000-8000-000000000001";
    const deployed = structuredClone(production);
    deployed.d1_databases[0].database_id = id;
    const changes = { d1_databases: [{ binding: "DB", database_name: "other", database_id: id }] };
    expect(() => environmentConfig(deployed, "staging", changes)).toThrow(`the database ${id}`);
  });

  test("comes with names that do not begin with the Worker's", () => {
    const renamed = structuredClone(production);
    renamed.name = "acme";
    const config = environmentConfig(renamed, "staging");
    expect(resources(config).slice(0, 3)).toEqual([
      "acme-staging",
      "staging-drawbridge",
      "staging-drawbridge-deliveries",
    ]);
    expect(() => requireKnownQueues(config)).not.toThrow();
  });

  test.each(["", "Staging", "-staging", "staging-", "a b", "../x"])(
    "cannot be called %j",
    (name) => {
      expect(() => environmentConfig(production, name)).toThrow("small letters and digits");
    },
  );

  test("is refused if a name would be longer than Cloudflare allows", () => {
    expect(() => environmentConfig(production, "x".repeat(50))).toThrow("Choose a shorter name");
  });

  test("is refused if wrangler.toml has a kind of resource that two environments might share", () => {
    const config = { ...production, kv_namespaces: [{ binding: "KV", id: "the-only-one" }] };
    expect(() => environmentConfig(config, "staging")).toThrow("wrangler.toml has kv_namespaces");
  });
});

describe("a queue", () => {
  test("is refused if the Worker would not know it by its name", () => {
    const config = { queues: { consumers: [{ queue: "hoover" }] } };
    expect(() => requireKnownQueues(config)).toThrow('would not know the queue "hoover"');
    expect(() => requireKnownQueues(production)).not.toThrow();
  });
});

describe("the example of the secrets", () => {
  const example = readFileSync(".dev.vars.example", "utf8");
  const given = [...example.matchAll(/^(\w+)="(.*)"$/gm)].map(([, name, value]) => ({
    name,
    value,
  }));

  test("names those that the Worker requires, and package.json describes them", () => {
    expect(given.map(({ name }) => name)).toEqual(production.secrets.required);
    const { cloudflare } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(Object.keys(cloudflare.bindings)).toEqual(production.secrets.required);
  });

  test("has values that are too short to serve with: everybody can read them", () => {
    for (const { value } of given) expect(value?.length).toBeLessThan(32);
  });
});
