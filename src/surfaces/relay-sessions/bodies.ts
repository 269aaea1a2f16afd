/**
 * What the routes of relay sessions take: Edgegap's bodies and query, with Drawbridge's additions. Unknown
 * fields are ignored, as Edgegap does.
 */
import * as z from "zod";
import { freeText, humanText } from "../../http/human-text";
import { wholeNumber, wholeNumberText } from "../../http/whole-numbers";
import { spellAddress } from "../../platform/ip-address";
import { MAX_SESSION_USERS } from "../../session/session";
import { connectionId } from "../relay-permissions/wire";

/** Cloudflare's location hints for Durable Objects (2026-11). */
const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

/** Null counts as absent: clients with fixed types send it for what they leave out. */
function optional<S extends z.ZodType>(schema: S) {
  return z.preprocess((value) => (value === null ? undefined : value), schema.optional());
}

const NO_ADDRESS = "must be an IPv4 or IPv6 address";
const ip = z.string(NO_ADDRESS).transform((text, issues) => {
  const spelt = spellAddress(text);
  if (spelt !== null) return spelt;
  issues.addIssue(NO_ADDRESS);
  return z.NEVER;
});

const deviceId = z
  .string("must be a string")
  .regex(/^[A-Za-z0-9._-]{1,64}$/, "must be 1 to 64 letters, digits, dots, _ or -");

const identity = { connection_id: optional(connectionId), device_id: optional(deviceId) };
const user = z.object({ ip, ...identity }, "must be an object with an ip");

const filter = z.object(
  {
    field: z.string("must be a string"),
    values: z.array(z.unknown(), "must be an array"),
    filter_type: z.enum(["any", "all", "not"], "must be any, all or not"),
  },
  "must be an object with field, values and filter_type",
);

const metadata = z
  .record(z.string(), z.unknown(), "must be an object of strings")
  .refine((value) => {
    const names = Object.keys(value);
    return new Set(names.map((name) => name.normalize("NFC"))).size === names.length;
  }, "must not have a name twice, in two encodings of the same text")
  .pipe(z.record(humanText(1, 64), freeText(0, 2_048)))
  .refine((value) => Object.keys(value).length <= 16, "must have at most 16 entries")
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= 2_048,
    "must be at most 2 KB as JSON",
  );

/** The body of a create. */
export const createSessionBody = z
  .object({
    users: optional(
      z
        .array(user, "must be an array")
        .max(MAX_SESSION_USERS, `must have at most ${MAX_SESSION_USERS} entries`),
    ),
    // Checked for compatibility only: nothing filters.
    filters: optional(
      z.array(filter, "must be an array").max(100, "must have at most 100 entries"),
    ),
    webhook_url: optional(z.string("must be a string")),
    ttl_seconds: optional(wholeNumber(60, 86_400)),
    idle_seconds: optional(wholeNumber(10, 3_600)),
    max_users: optional(wholeNumber(1, MAX_SESSION_USERS)),
    metadata: optional(metadata),
    region: optional(z.enum(REGIONS, `must be one of ${REGIONS.join(", ")}`)),
    join_code: optional(z.boolean("must be true or false")),
  })
  .transform(({ users = [], ...body }) => ({
    users: users.map(toUser),
    ttlSeconds: body.ttl_seconds ?? 3_600,
    idleSeconds: body.idle_seconds ?? 300,
    // A client that does not know max_users may still name more users than the default of 16.
    maxUsers: body.max_users ?? Math.max(16, users.length),
    webhookUrl: body.webhook_url ? body.webhook_url : null,
    metadata: body.metadata ?? null,
    region: body.region ?? null,
    withJoinCode: body.join_code ?? false,
  }))
  .refine((body) => body.users.length <= body.maxUsers, {
    path: ["users"],
    message: "must not be more than max_users",
  });

const sessionId = z.string("must be a string");

/** The body of authorize-user. */
export const authorizeUserBody = z
  .object({ session_id: sessionId, user_ip: ip, ...identity })
  .transform(({ session_id, user_ip, ...rest }) => ({
    sessionId: session_id,
    user: toUser({ ip: user_ip, ...rest }),
  }));

const TOKEN = "must be a number, or a string of digits";

/** The body of revoke-user. */
export const revokeUserBody = z
  .object({
    session_id: sessionId,
    authorization_token: z.union([z.int(), z.string().regex(/^\d+$/).transform(Number)], TOKEN),
  })
  .transform((body) => ({ sessionId: body.session_id, token: body.authorization_token }));

/** The body of a join. */
export const joinBody = z
  .object({ join_code: z.string("must be a string").max(64, "is too long for a join code") })
  .transform((body) => body.join_code);

/** The query of the list. */
export const listSessionsQuery = z.object({
  page: wholeNumberText(1, Number.MAX_SAFE_INTEGER).default(1),
  limit: wholeNumberText(1, 100).default(20),
});

function toUser(user: {
  ip: string;
  connection_id?: string | undefined;
  device_id?: string | undefined;
}) {
  return {
    ip: user.ip,
    connectionId: user.connection_id ?? null,
    deviceId: user.device_id ?? null,
  };
}
