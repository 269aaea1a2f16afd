/**
 * The configuration of a deployment beside production, such as staging: the Worker of wrangler.toml
 * under a name of its own, with resources of its own.
 *
 * It is derived here, and not written as `[env.staging]` into wrangler.toml. There nothing of the
 * bindings is inherited: every environment would repeat all of them, a binding that is forgotten is
 * missing, and one that is copied wrong is production's. Also, the generated types would lose what an
 * environment does not have.
 */

import { createHash } from "node:crypto";

export const PRODUCTION = "production";

/** What stands for the id of a database that was not made yet. */
export const NO_DATABASE = "00000000-0000-0000-0000-000000000000";

/** How the names of the queues end: the Worker knows its queues by that (`src/queues.ts`). */
export const QUEUE_ENDINGS = ["deliveries", "checks", "sweep", "dead-letters"];

/** Names of Workers and queues are part of hostnames and paths: 63 characters at most. */
const LONGEST_NAME = 63;

/** The same in every environment. */
const SAME = [
  "$schema",
  "account_id",
  "alias",
  "assets",
  "build",
  "compatibility_date",
  "compatibility_flags",
  "define",
  "durable_objects",
  "keep_names",
  "keep_vars",
  "limits",
  "main",
  "migrations",
  "minify",
  "observability",
  "placement",
  "rules",
  "secrets",
  "send_metrics",
  "triggers",
  "tsconfig",
  "upload_source_maps",
  "vars",
];

/** An environment has its own of these, made from production's. */
const OWN = ["name", "d1_databases", "queues", "ratelimits"];

/** Production's alone: two Workers cannot answer at the same address. */
const LEFT_OUT = ["env", "preview_urls", "route", "routes", "workers_dev"];

/**
 * The configuration of `environment`, as Wrangler takes it. `production` is what wrangler.toml says;
 * `changes` is what the owner wants to differ: its vars are added to the others, and its other keys take
 * the place of what would be there. Throws if a name is not allowed, if wrangler.toml has something of
 * which it is not known whether two environments may share it, or if `changes` names something of
 * production's.
 */
export function environmentConfig(production, environment, changes = {}) {
  requireEnvironmentName(environment);
  requireKnownKeys(production);
  const nameOf = (name) => environmentName(name, production.name, environment);
  const same = Object.entries(production).filter(([key]) => SAME.includes(key));
  const config = {
    ...Object.fromEntries(same),
    name: nameOf(production.name),
    workers_dev: true,
    d1_databases: production.d1_databases?.map((database) => ({
      ...database,
      database_name: nameOf(database.database_name),
      database_id: NO_DATABASE,
    })),
    queues: production.queues && {
      producers: production.queues.producers?.map((producer) => ({
        ...producer,
        queue: nameOf(producer.queue),
      })),
      consumers: production.queues.consumers?.map((consumer) => ({
        ...consumer,
        queue: nameOf(consumer.queue),
        dead_letter_queue: consumer.dead_letter_queue && nameOf(consumer.dead_letter_queue),
      })),
    },
    ratelimits: production.ratelimits?.map((limit) => ({
      ...limit,
      namespace_id: environmentNamespace(limit.namespace_id, environment),
    })),
    ...changes,
    vars: { ...production.vars, ...changes.vars },
  };
  requireShortNames(config);
  requireNothingShared(production, config, environment);
  return config;
}

/** All queues of a configuration: those it sends to, those it reads, and where dead letters go. */
export function queueNames({ queues }) {
  const { producers = [], consumers = [] } = queues ?? {};
  return [
    ...new Set([
      ...producers.map(({ queue }) => queue),
      ...consumers.map(({ queue }) => queue),
      ...consumers.flatMap(({ dead_letter_queue: queue }) => queue ?? []),
    ]),
  ];
}

/** Throws if the Worker would not know one of the queues that it reads: its messages would stay there. */
export function requireKnownQueues({ queues }) {
  for (const { queue } of queues?.consumers ?? []) {
    if (QUEUE_ENDINGS.some((ending) => queue === ending || queue.endsWith(`-${ending}`))) continue;
    throw new Error(
      `The Worker would not know the queue "${queue}": it knows a queue by the end of its name. ` +
        `Choose a name that ends with ${QUEUE_ENDINGS.map((ending) => `-${ending}`).join(", ")}.`,
    );
  }
}

function requireEnvironmentName(environment) {
  if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(environment)) return;
  throw new Error(
    `"${environment}" cannot be the name of an environment: it becomes part of other names. Use ` +
      "small letters and digits, with hyphens between them, such as staging.",
  );
}

function requireKnownKeys(production) {
  const known = [...SAME, ...OWN, ...LEFT_OUT];
  const unknown = Object.keys(production).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw new Error(
    `wrangler.toml has ${unknown.join(", ")}. It is not known whether an environment may share that ` +
      "with production: add it to one of the lists in scripts/environments.mjs.",
  );
}

/** `drawbridge-sweep` becomes `drawbridge-staging-sweep`; the end of a name stays as it is. */
function environmentName(name, worker, environment) {
  if (name === worker) return `${worker}-${environment}`;
  if (name.startsWith(`${worker}-`)) return `${worker}-${environment}${name.slice(worker.length)}`;
  return `${environment}-${name}`;
}

/**
 * Counters with the same namespace are shared in the whole account, so an environment gets a number that
 * is always the same, is not another environment's, and is above those that people choose.
 */
function environmentNamespace(id, environment) {
  const digest = createHash("sha256").update(`${environment}/${id}`).digest();
  return String(1_000_000 + (digest.readUInt32BE(0) % 1_000_000_000));
}

/** A key of `changes` replaces a whole key of production's, and is often a copy of it with one line changed. */
function requireNothingShared(production, config, environment) {
  const productions = resourcesOf(production);
  const shared = resourcesOf(config).filter((resource) => productions.includes(resource));
  if (shared.length === 0) return;
  throw new Error(
    `The environment ${environment} would use what belongs to production: ${shared.join(", ")}. ` +
      `Give it names of its own in wrangler.${environment}.toml, or leave them out there.`,
  );
}

/** Everything by which a configuration names what exists once in the account. */
function resourcesOf(config) {
  const { d1_databases = [], ratelimits = [], routes = [], durable_objects } = config;
  const scripts = durable_objects?.bindings?.flatMap(({ script_name: name }) => name ?? []) ?? [];
  const databases = d1_databases.flatMap(({ database_name: name, database_id: id }) =>
    id === undefined || id === NO_DATABASE ? [name] : [name, id],
  );
  const addresses = [config.route ?? [], ...routes].flat();
  return [
    ...[config.name, ...scripts].map((name) => `the Worker ${name}`),
    ...databases.map((name) => `the database ${name}`),
    ...queueNames(config).map((name) => `the queue ${name}`),
    ...ratelimits.map(({ namespace_id: id }) => `the rate limit ${id}`),
    ...addresses.map((route) => `the route ${route.pattern ?? route}`),
  ];
}

function requireShortNames(config) {
  for (const name of [config.name, ...queueNames(config)]) {
    if (name.length <= LONGEST_NAME) continue;
    throw new Error(
      `"${name}" has ${name.length} characters, and a name may have ${LONGEST_NAME}. Choose a shorter ` +
        "name for the environment.",
    );
  }
}
