/**
 * The deployment's settings: read from the vars once per isolate, checked whole, with their defaults.
 * Everything else takes a `Config` and never looks at the vars itself.
 */
import { z } from "zod";

/** Checked settings. Durations carry their unit in the name; a limit of 0 is switched off. */
export interface Config {
  /** Root of every derived secret. */
  secret: string;
  /** What creates, lists and deletes organisations, and expires sessions as `admin`. */
  rootToken: string;
  retentionDays: number;
  failedAuthPerMinute: number;
  relay: {
    bytesPerSecond: number;
    burstBytes: number;
    messagesPerSecond: number;
    burstMessages: number;
    unheardBytes: number;
  };
  webhookRetrySeconds: number[];
  allowInsecureWebhooks: boolean;
  /** The deployment's own hostnames, `host` or `host:port`: nothing is sent there. */
  ownHostnames: readonly string[];
  /** Cloudflare Access, where operators may sign in with it. */
  access: AccessConfig | null;
}

/** Whose assertions are taken, and for which application. */
export interface AccessConfig {
  /** Such as `https://team.cloudflareaccess.com`. */
  issuer: string;
  /** The application's AUD tag. */
  audience: string;
}

/** The settings do not allow serving; the message says which one is wrong and what to do. */
export class ConfigError extends Error {}

const secret = z
  .string("is missing")
  .min(32, "is shorter than 32 characters")
  .describe("at least 32 random characters");
/**
 * A var as text. TOML may give numbers and booleans; one that is empty, or only spaces, is one that is not
 * set: read as 0 it would switch a limit off.
 */
const asText = (value: unknown) => {
  const text = ["number", "boolean"].includes(typeof value) ? String(value) : value;
  return typeof text === "string" ? text.trim() || undefined : text;
};
const text = (fallback: string) => z.preprocess(asText, z.string().default(fallback));
/** Digits only: `0x10`, `1e3` and the like are more often a slip than meant. */
const count = (fallback: number) =>
  z.preprocess(
    asText,
    z
      .string()
      .regex(/^[0-9]{1,15}$/, "must be a whole number from 0")
      .transform(Number)
      .default(fallback),
  );

const FLAGS: Readonly<Record<string, boolean>> = {
  1: true,
  true: true,
  on: true,
  0: false,
  false: false,
  off: false,
};
/** A var that is on or off, in any case. Other words are refused: a "no" that means yes is dangerous. */
const flag = (fallback: boolean) =>
  z.preprocess(
    asText,
    z
      .string()
      .toLowerCase()
      .refine((word) => Object.hasOwn(FLAGS, word), "must be 1, true or on, or 0, false or off")
      .transform((word) => FLAGS[word] === true)
      .default(fallback),
  );

const hostnames = z.preprocess(
  asText,
  z
    .string()
    .transform((csv) => csv.split(",").map((name) => name.trim().toLowerCase()))
    .refine(
      (names) => names.every((name) => parseHost(name) !== null),
      "must be hostnames separated by commas, such as relay.example.com,drawbridge.acme.workers.dev",
    )
    .default([]),
);

const vars = z.object({
  DRAWBRIDGE_SECRET: secret,
  DRAWBRIDGE_ROOT_TOKEN: secret,
  RETENTION_DAYS: z.preprocess(
    asText,
    z
      .string()
      .regex(/^[0-9]{1,5}(\.[0-9]{1,9})?$/, "must be a number of days")
      .transform(Number)
      .refine((days) => days > 0, "must be above 0")
      .default(30),
  ),
  FAILED_AUTH_PER_MINUTE: count(300),
  RELAY_BYTES_PER_SECOND: count(262_144),
  RELAY_BURST_BYTES: count(1_048_576),
  RELAY_MESSAGES_PER_SECOND: count(500),
  RELAY_BURST_MESSAGES: count(1_000),
  RELAY_UNHEARD_BYTES: count(4_194_304),
  WEBHOOK_RETRY_SECONDS: text("5,300,1800,7200,18000,36000,36000"),
  ALLOW_INSECURE_WEBHOOKS: flag(false),
  OWN_HOSTNAMES: hostnames,
  CF_ACCESS_TEAM: z.preprocess(
    asText,
    z
      .string()
      .regex(/^[a-z0-9-]+(\.cloudflareaccess\.com)?$/i, "must be the name of an Access team")
      .default(""),
  ),
  CF_ACCESS_AUD: text(""),
});

/** A host with a port or without, as a URL; null where the text is anything else. */
export function parseHost(text: string): URL | null {
  const url = /[/?#@\\\s]/.test(text) ? null : URL.parse(`http://${text}`);
  return url?.pathname === "/" ? url : null;
}

const known = new WeakMap<object, Config>();

/**
 * The settings of this deployment.
 * @throws ConfigError naming every var that is wrong.
 */
export function readConfig(env: Env): Config {
  const before = known.get(env);
  if (before) return before;
  const parsed = vars.safeParse(env);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
    throw new ConfigError(
      `Drawbridge cannot serve: ${problems.join("; ")}. Secrets are set in .dev.vars locally and with "wrangler secret put" when deployed, the other vars in wrangler.toml.`,
    );
  }
  const v = parsed.data;
  const config: Config = {
    secret: v.DRAWBRIDGE_SECRET,
    rootToken: v.DRAWBRIDGE_ROOT_TOKEN,
    retentionDays: v.RETENTION_DAYS,
    failedAuthPerMinute: v.FAILED_AUTH_PER_MINUTE,
    relay: {
      bytesPerSecond: v.RELAY_BYTES_PER_SECOND,
      burstBytes: v.RELAY_BURST_BYTES,
      messagesPerSecond: v.RELAY_MESSAGES_PER_SECOND,
      burstMessages: v.RELAY_BURST_MESSAGES,
      unheardBytes: v.RELAY_UNHEARD_BYTES,
    },
    webhookRetrySeconds: readRetrySeconds(v.WEBHOOK_RETRY_SECONDS),
    allowInsecureWebhooks: v.ALLOW_INSECURE_WEBHOOKS,
    ownHostnames: v.OWN_HOSTNAMES,
    access: readAccess(v.CF_ACCESS_TEAM, v.CF_ACCESS_AUD),
  };
  known.set(env, config);
  return config;
}

function readRetrySeconds(csv: string): number[] {
  try {
    return parseRetrySeconds(csv);
  } catch (error) {
    throw new ConfigError(`Drawbridge cannot serve: WEBHOOK_RETRY_SECONDS ${String(error)}`);
  }
}

function readAccess(team: string, audience: string): AccessConfig | null {
  if (team === "" && audience === "") return null;
  if (team === "" || audience === "") {
    throw new ConfigError(
      "Drawbridge cannot serve: CF_ACCESS_TEAM and CF_ACCESS_AUD go together. Set both, or neither.",
    );
  }
  const name = team.toLowerCase().replace(/\.cloudflareaccess\.com$/, "");
  return { issuer: `https://${name}.cloudflareaccess.com`, audience };
}

/** When a delivery that failed is tried again, and what a receiver's `Retry-After` does to that. */

/** The longest that a queue can delay a message: 24 h. */
export const LONGEST_DELAY_SECONDS = 86_400;

const MOST_DELAYS = 20;

/**
 * Reads the var `WEBHOOK_RETRY_SECONDS`: the delays before the second attempt, the third and so on, in
 * seconds, separated by commas. Fractions are allowed, so that tests need not wait.
 *
 * @throws Error when it is not 1–20 numbers above 0 and at most 86,400 (what a queue can delay).
 */
export function parseRetrySeconds(csv: string): number[] {
  const parts = csv.split(",").map((part) => part.trim());
  const allowed = `1–${MOST_DELAYS} numbers above 0 and at most ${LONGEST_DELAY_SECONDS}, separated by commas`;
  if (parts.length > MOST_DELAYS) {
    throw new Error(`The webhook retry delays must be ${allowed}; there are ${parts.length}.`);
  }
  return parts.map((part) => {
    const seconds = /^\d+(\.\d+)?$/.test(part) ? Number(part) : Number.NaN;
    if (seconds > 0 && seconds <= LONGEST_DELAY_SECONDS) return seconds;
    throw new Error(`The webhook retry delays must be ${allowed}; "${part}" is not.`);
  });
}
