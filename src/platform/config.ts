/**
 * The deployment's settings. They are read from the vars of `wrangler.toml` and from the two secrets once
 * per isolate, and checked all together. All other code gets a `Config` and does not read the vars itself.
 */
import * as z from "zod";

/**
 * Checked settings, with their defaults filled in. The table of vars below says which var each one comes
 * from. A field's name ends with its unit.
 */
export interface Config {
  secret: string;
  rootToken: string;
  retentionDays: number;
  /** How large D1 may become. 0: no limit. */
  databaseLimitBytes: number;
  /** The organisation of those who run the deployment. Null: none, and nobody gets the deployment's events. */
  operatorOrganisationId: number | null;
  /** Which requests have a line in the log. `some`: see `http/request-log.ts`. */
  logRequests: "some" | "all";
  /** 0: no limit. */
  failedAuthPerMinute: number;
  /** With one API key. 0: no limit. */
  hostedSessionsPerMinute: number;
  relay: {
    /** 0: no limit on bytes. */
    bytesPerSecond: number;
    burstBytes: number;
    /** 0: no limit on messages. */
    messagesPerSecond: number;
    burstMessages: number;
    /** 0: no limit. */
    unheardBytes: number;
    /** 0: no limit. */
    broadcastBytesPerSecond: number;
  };
  /** The delay before the second attempt, before the third, and so on. */
  webhookRetrySeconds: number[];
  allowInsecureWebhooks: boolean;
  /** In lower case. */
  ownHostnames: readonly string[];
  /** The origins whose pages may call everything, as browsers send them. */
  corsOrigins: readonly string[];
  /** Null: operators cannot sign in through Cloudflare Access. */
  access: AccessConfig | null;
}

/** The Cloudflare Access team and application whose assertions are accepted. */
export interface AccessConfig {
  /** Such as `https://team.cloudflareaccess.com`. */
  issuer: string;
  /** The application's AUD tag. */
  audience: string;
}

/** A setting is wrong or missing, so that nothing is served. The message says which one, and what to do. */
export class ConfigError extends Error {}

const secret = z
  .string("is missing")
  .min(32, "is shorter than 32 characters")
  .describe("at least 32 random characters");

/**
 * A var as text. TOML may give numbers and booleans. An empty var, or one with only spaces, counts as not
 * set: if it were read as 0, it would switch a limit off.
 */
const asText = (value: unknown) => {
  const text = ["number", "boolean"].includes(typeof value) ? String(value) : value;
  return typeof text === "string" ? text.trim() || undefined : text;
};

const text = (fallback: string) => z.preprocess(asText, z.string().default(fallback));

/** A whole number from 0. Digits only: `0x10` or `1e3` is more often a typing error than meant. */
const count = (fallback: number) =>
  z.preprocess(
    asText,
    z
      .string()
      .regex(/^[0-9]{1,15}$/, "must be a whole number from 0")
      .transform(Number)
      .default(fallback),
  );

/** A number of days above 0; fractions are allowed. */
const days = (fallback: number) =>
  z.preprocess(
    asText,
    z
      .string()
      .regex(/^[0-9]{1,5}(\.[0-9]{1,9})?$/, "must be a number of days")
      .transform(Number)
      .refine((number) => number > 0, "must be above 0")
      .default(fallback),
  );

const ON = ["1", "true", "on"];
const OFF = ["0", "false", "off"];

/** A var that is on or off, in any case. Other words are refused: a "no" that is read as yes is dangerous. */
const flag = (fallback: boolean) =>
  z.preprocess(
    asText,
    z
      .string()
      .toLowerCase()
      .refine(
        (word) => ON.includes(word) || OFF.includes(word),
        "must be 1, true or on, or 0, false or off",
      )
      .transform((word) => ON.includes(word))
      .default(fallback),
  );

/** Hostnames with commas between them. Default: none. */
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

/** Origins with commas between them. Default: none. */
const origins = z.preprocess(
  asText,
  z
    .string()
    .transform((csv) => csv.split(",").map((origin) => origin.trim().toLowerCase()))
    .refine(
      (all) => all.every(isOrigin),
      "must be origins separated by commas, without a slash at their end and without *, such as https://game.example.com,http://localhost:5173",
    )
    .default([]),
);

/** Every secret and var, each with its unit and its default in brackets. */
const vars = z.object({
  /** The secret from which all derived secrets come: see `derive.ts`. At least 32 characters; required. */
  DRAWBRIDGE_SECRET: secret,
  /** The token that creates, lists and deletes organisations. At least 32 characters; required. */
  DRAWBRIDGE_ROOT_TOKEN: secret,
  /** How many days source sessions that have ended, events, deliveries and the like are kept. Above 0. (30) */
  RETENTION_DAYS: days(30),
  /** Bytes that D1 may have: creates are refused from 90 % on. 0: no limit. (10 GB, that of a paid plan) */
  DATABASE_LIMIT_BYTES: count(10_000_000_000),
  /** The id of the organisation that gets the deployment's own events. 0: none. (none) */
  OPERATOR_ORGANISATION_ID: count(0),
  /** `some`: requests that fail or are slow, and a sample of the others, have a line in the log. `all`: each. (some) */
  LOG_REQUESTS: z.preprocess(
    asText,
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(["some", "all"], "must be some or all"))
      .default("some"),
  ),
  /** Failed authentications that one address may make in a minute. 0: no limit. (300) */
  FAILED_AUTH_PER_MINUTE: count(300),
  /** Sessions that may be hosted with one API key in a minute (`POST /v1/relays/host`). 0: no limit. (600) */
  HOSTED_SESSIONS_PER_MINUTE: count(600),
  /** Bytes that one relay participant may send in a second, for a long time. 0: no limit. (256 KiB) */
  RELAY_BYTES_PER_SECOND: count(262_144),
  /** Bytes that one relay participant may send at once after a pause. (1 MiB) */
  RELAY_BURST_BYTES: count(1_048_576),
  /** Messages that one relay participant may send in a second, for a long time. 0: no limit. (500) */
  RELAY_MESSAGES_PER_SECOND: count(500),
  /** Messages that one relay participant may send at once after a pause. (1,000) */
  RELAY_BURST_MESSAGES: count(1_000),
  /** Bytes sent to a relay participant before it has to send something itself. 0: no limit. (4 MiB) */
  RELAY_UNHEARD_BYTES: count(4_194_304),
  /** Bytes that the broadcasts of one session may send in a second, to all clients together. 0: no limit. (8 MiB) */
  RELAY_BROADCAST_BYTES_PER_SECOND: count(8_388_608),
  /** Seconds before each further attempt of a delivery: see `parseRetrySeconds`. (8 attempts in about 28 h) */
  WEBHOOK_RETRY_SECONDS: text("5,300,1800,7200,18000,36000,36000"),
  /** Allows `http`, any port and loopback addresses for webhooks and connectors: for tests. (off) */
  ALLOW_INSECURE_WEBHOOKS: flag(false),
  /** All hostnames of this deployment, as `host` or `host:port`: no webhook is sent to them. (none) */
  OWN_HOSTNAMES: hostnames,
  /** Origins whose pages may call everything, each exactly as a browser sends it: see `isOrigin`. (none) */
  CORS_ORIGINS: origins,
  /** The name of the Cloudflare Access team, with or without `.cloudflareaccess.com`. (none) */
  CF_ACCESS_TEAM: z.preprocess(
    asText,
    z
      .string()
      .regex(/^[a-z0-9-]+(\.cloudflareaccess\.com)?$/i, "must be the name of an Access team")
      .default(""),
  ),
  /** The AUD tag of the Access application. Set both Access vars, or neither. (none) */
  CF_ACCESS_AUD: text(""),
});

/** A host, with a port or without, as a URL. Null when the text is anything else. */
export function parseHost(text: string): URL | null {
  const url = /[/?#@\\\s]/.test(text) ? null : URL.parse(`http://${text}`);
  return url?.pathname === "/" ? url : null;
}

/**
 * Whether a text is an origin as browsers send it: scheme, host and a port that is not the scheme's own. The
 * pages of apps have schemes of their own, such as `capacitor://localhost`.
 */
function isOrigin(text: string): boolean {
  if (/^https?:/.test(text)) return URL.parse(text)?.origin === text && !text.includes("*");
  return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+(:[0-9]{1,5})?$/.test(text);
}

/** The settings that were checked before, by the `env` that they came from. */
const checked = new WeakMap<object, Config>();

/**
 * The settings of this deployment.
 * @throws ConfigError that names every var that is wrong
 */
export function readConfig(env: Env): Config {
  const known = checked.get(env);
  if (known) return known;
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
    databaseLimitBytes: v.DATABASE_LIMIT_BYTES,
    operatorOrganisationId: v.OPERATOR_ORGANISATION_ID === 0 ? null : v.OPERATOR_ORGANISATION_ID,
    logRequests: v.LOG_REQUESTS,
    failedAuthPerMinute: v.FAILED_AUTH_PER_MINUTE,
    hostedSessionsPerMinute: v.HOSTED_SESSIONS_PER_MINUTE,
    relay: {
      bytesPerSecond: v.RELAY_BYTES_PER_SECOND,
      burstBytes: v.RELAY_BURST_BYTES,
      messagesPerSecond: v.RELAY_MESSAGES_PER_SECOND,
      burstMessages: v.RELAY_BURST_MESSAGES,
      unheardBytes: v.RELAY_UNHEARD_BYTES,
      broadcastBytesPerSecond: v.RELAY_BROADCAST_BYTES_PER_SECOND,
    },
    webhookRetrySeconds: readRetrySeconds(v.WEBHOOK_RETRY_SECONDS),
    allowInsecureWebhooks: v.ALLOW_INSECURE_WEBHOOKS,
    ownHostnames: v.OWN_HOSTNAMES,
    corsOrigins: v.CORS_ORIGINS,
    access: readAccess(v.CF_ACCESS_TEAM, v.CF_ACCESS_AUD),
  };
  checked.set(env, config);
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

/** The longest time for which a queue can delay a message: 24 h. */
export const LONGEST_DELAY_SECONDS = 86_400;

const MAX_DELAYS = 20;

/**
 * Reads the var `WEBHOOK_RETRY_SECONDS`: the delays before the second attempt of a delivery, before the
 * third, and so on, in seconds, with commas between them. Fractions are allowed, so that tests need not
 * wait.
 * @throws Error unless it is 1 to 20 numbers above 0, each at most `LONGEST_DELAY_SECONDS`
 */
export function parseRetrySeconds(csv: string): number[] {
  const parts = csv.split(",").map((part) => part.trim());
  const allowed = `1–${MAX_DELAYS} numbers above 0 and at most ${LONGEST_DELAY_SECONDS}, separated by commas`;
  if (parts.length > MAX_DELAYS) {
    throw new Error(`The webhook retry delays must be ${allowed}; there are ${parts.length}.`);
  }
  return parts.map((part) => {
    const seconds = /^\d+(\.\d+)?$/.test(part) ? Number(part) : Number.NaN;
    if (seconds > 0 && seconds <= LONGEST_DELAY_SECONDS) return seconds;
    throw new Error(`The webhook retry delays must be ${allowed}; "${part}" is not.`);
  });
}
