/**
 * What the operations of relay sessions take: Edgegap's bodies and query, with Drawbridge's additions.
 * Unknown fields are ignored, as Edgegap does.
 */
import * as z from "zod";
import { MOST_SKIPPED_ROWS } from "../../db/numbered-pages";
import { freeText, humanText } from "../../http/human-text";
import { wholeNumber, wholeNumberText } from "../../http/whole-numbers";
import { spellAddress } from "../../platform/ip-address";
import { RELAY_SESSION_ID } from "../../session/relay-session-id";
import { MAX_SESSION_USERS } from "../../session/session";
import { connectionId } from "../relay-permissions/wire";
import { region } from "../shared/regions";

/** What a create takes that does not say otherwise. */
const TTL_SECONDS = 3_600;
const IDLE_SECONDS = 300;
const MAX_USERS = 16;
const HOST_GRACE_SECONDS = 10;
const REJOIN_SECONDS = 120;

const NO_ADDRESS = "must be an IPv4 or IPv6 address";
const ip = z
  .string(NO_ADDRESS)
  .transform((text, issues) => {
    const spelt = spellAddress(text);
    if (spelt !== null) return spelt;
    issues.addIssue(NO_ADDRESS);
    return z.NEVER;
  })
  .meta({ description: "An IPv4 or IPv6 address." });

const deviceId = z
  .string("must be a string")
  .regex(/^[A-Za-z0-9._-]{1,64}$/, "must be 1 to 64 letters, digits, dots, _ or -");

// Null counts as absent, here and below: clients with fixed types send it for what they leave out.
const identity = {
  connection_id: connectionId.nullish().meta({
    description:
      "A connection that you registered: frames between this user and another who has one pass only where relay permissions allow it. Null: this user carries none.",
  }),
  device_id: deviceId.nullish().meta({
    description:
      "A paired device: this user is let in only while it is not revoked. Null: no device is asked for.",
  }),
};
const user = z.object({ ip, ...identity }, "must be an object with an ip");

const filter = z.object(
  {
    field: z.string("must be a string").meta({ description: "What a relay has, such as `city`." }),
    values: z
      .array(z.unknown(), "must be an array")
      .meta({ description: "The values that it is compared with." }),
    filter_type: z
      .enum(["any", "all", "not"], "must be any, all or not")
      .meta({ description: "Whether a relay has to have any of the values, all, or none." }),
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
  )
  .meta({
    description:
      "Texts of your own by name, which the session shows. Names have 1 to 64 characters. All of it has at most 2 KB as JSON.",
    maxProperties: 16,
    additionalProperties: { type: "string" },
  });

/** The body of a create. */
export const createSessionBody = z
  .object({
    users: z
      .array(user, "must be an array")
      .max(MAX_SESSION_USERS, `must have at most ${MAX_SESSION_USERS} entries`)
      .nullish()
      .meta({
        description:
          "Who takes part, at most 64. The first is the host, all others are clients. More can be added later.",
      }),
    filters: z
      .array(filter, "must be an array")
      .max(100, "must have at most 100 entries")
      .nullish()
      .meta({
        description: "Edgegap's choice of a relay. Checked, and not used: there is one relay.",
      }),
    webhook_url: z.string("must be a string").nullish().meta({
      description:
        'An https address that is told when the session is ready, when it has failed and when it has ended. `""` or null: nobody is told.',
    }),
    ttl_seconds: wholeNumber(60, 86_400)
      .nullish()
      .meta({
        description: `How many seconds the session lives at most. If left out, ${TTL_SECONDS}.`,
      }),
    idle_seconds: wholeNumber(10, 3_600)
      .nullish()
      .meta({
        description: `After how many seconds without an open websocket and without a call the session ends. If left out, ${IDLE_SECONDS}.`,
      }),
    max_users: wholeNumber(1, MAX_SESSION_USERS)
      .nullish()
      .meta({
        description: `How many users the session may have. If left out, ${MAX_USERS}, or as many as \`users\` has if that is more.`,
      }),
    metadata: metadata.nullish(),
    region: region.nullish().meta({
      description:
        "Where in the world the session should be: a location hint of Cloudflare, such as `weur` for Western Europe. If left out, near the caller.",
    }),
    join_code: z.boolean("must be true or false").nullish().meta({
      description:
        "Whether the session gets a join code, with which players let themselves in. If left out, it gets none.",
    }),
    host_migration: z.literal("oldest", 'must be "oldest" or null').nullish().meta({
      description:
        "`oldest`: when the host has been gone for `host_grace_seconds`, the connected user who was added first becomes the host. The session is on websockets only. If left out, a host who is gone is waited for.",
    }),
    host_grace_seconds: wholeNumber(1, 300)
      .nullish()
      .meta({
        description: `With \`host_migration\`: how many seconds the host may be gone before another takes over. If left out, ${HOST_GRACE_SECONDS}.`,
      }),
    rejoin_seconds: wholeNumber(0, 3_600)
      .nullish()
      .meta({
        description: `For how many seconds a user who joined with the join code, and has left, keeps the seat when the session is full. If left out, ${REJOIN_SECONDS}.`,
      }),
    transport: z.enum(["udp", "websocket"], "must be udp or websocket").nullish().meta({
      description:
        "How the users connect. `udp`: a relay node carries the session, or the answer is 503. `websocket`: no relay node does. If left out, one does if the organisation has had one online in the last hour.",
    }),
  })
  .transform((body) => {
    const users = body.users ?? [];
    return {
      users: users.map(toUser),
      ttlSeconds: body.ttl_seconds ?? TTL_SECONDS,
      idleSeconds: body.idle_seconds ?? IDLE_SECONDS,
      // A client that does not know max_users may still name more users than the default.
      maxUsers: body.max_users ?? Math.max(MAX_USERS, users.length),
      webhookUrl: body.webhook_url ? body.webhook_url : null,
      metadata: body.metadata ?? null,
      region: body.region ?? null,
      withJoinCode: body.join_code ?? false,
      ...(body.host_migration ? { hostMigration: body.host_migration } : {}),
      hostGraceSeconds: body.host_grace_seconds ?? HOST_GRACE_SECONDS,
      rejoinSeconds: body.rejoin_seconds ?? REJOIN_SECONDS,
      // On a relay node the host cannot change.
      transport: body.transport ?? (body.host_migration ? ("websocket" as const) : null),
    };
  })
  .refine(({ hostMigration, transport }) => !(hostMigration && transport === "udp"), {
    path: ["host_migration"],
    message: "must be left out where transport is udp: on a relay node the host cannot change",
  })
  .refine((body) => body.users.length <= body.maxUsers, {
    path: ["users"],
    message: "must not be more than max_users",
  });

const sessionId = z
  .string("must be a string")
  .meta({ description: "The `session_id` of the session." });

/** The id of a session in a path. It only describes: an id of another form is answered 404. */
export const sessionIdForm = z
  .string()
  .regex(RELAY_SESSION_ID)
  .meta({ description: "The `session_id`: 12 hexadecimal digits and `-S`." });

/** The body of authorize-user. */
export const authorizeUserBody = z
  .object({ session_id: sessionId, user_ip: ip, ...identity })
  .transform(({ session_id, user_ip, ...rest }) => ({
    sessionId: session_id,
    user: toUser({ ip: user_ip, ...rest }),
  }));

const TOKEN = "must be a number, or a string of digits";

/** The body of revoke-user and of assign-host. */
export const userOfSessionBody = z
  .object({
    session_id: sessionId,
    authorization_token: z
      .union([z.int(), z.string().regex(/^\d+$/).transform(Number)], TOKEN)
      .meta({
        description: "The `authorization_token` of the user: a number, or a string of digits.",
      }),
  })
  .transform((body) => ({ sessionId: body.session_id, token: body.authorization_token }));

/** The body of a join. */
export const joinBody = z
  .object({
    join_code: z.string("must be a string").max(64, "is too long for a join code").meta({
      description: "The `join_code` of the session. Case, dash and spaces do not matter.",
      example: "PP7C-XFJR",
    }),
  })
  .transform((body) => body.join_code);

/** How many sessions a page has at most where each of them is asked. */
const MOST_ASKED = 25;

const trueOrFalse = z
  .enum(["true", "false"], "must be true or false")
  .transform((text) => text === "true");

/** The query of the list. */
export const listSessionsQuery = z
  .object({
    page: wholeNumberText(1, Number.MAX_SAFE_INTEGER)
      .default(1)
      .meta({
        description: `Which page: the first is 1. A page behind the last is empty. In a list of more than ${2 * MOST_SKIPPED_ROWS} sessions, pages that are more than ${MOST_SKIPPED_ROWS} away from both ends are reached one after another only.`,
      }),
    limit: wholeNumberText(1, 100)
      .default(20)
      .meta({
        description: `How many sessions a page has at most. With \`with_traffic\`, ${MOST_ASKED} at most.`,
      }),
    device_id: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "must be the id of a device: 64 digits 0-9a-f")
      .nullable()
      .default(null)
      .meta({
        description:
          "Only sessions in which a user has this `device_id`: 64 hexadecimal digits. `total_count` and the pages are of these. Left out: all.",
      }),
    with_traffic: trueOrFalse.default(false).meta({
      description:
        "`true`: each session of the page is asked for its figures, such as who is connected. That does not count as use. The figures of a session that does not say within a second are null. Left out: `false`.",
    }),
  })
  .refine(({ limit, with_traffic }) => !with_traffic || limit <= MOST_ASKED, {
    path: ["limit"],
    message: `must be at most ${MOST_ASKED} where with_traffic is true`,
  });

/** The query of one session. */
export const showSessionQuery = z.object({
  touch: trueOrFalse.default(true).meta({
    description:
      "`false`: reading it does not count as use, so its idle clock goes on. For those who only watch. Left out: `true`.",
  }),
});

const TOKEN_FORM = { type: "integer", minimum: 1, maximum: 0x7fff_ffff } as const;

/**
 * The query of a websocket. It only describes: the session's object reads the tokens, and refuses those
 * of another form as it refuses wrong ones.
 */
export const connectQuery = z.object({
  session_token: z
    .string()
    .optional()
    .meta({ ...TOKEN_FORM, description: "The session's `authorization_token`." }),
  user_token: z
    .string()
    .optional()
    .meta({ ...TOKEN_FORM, description: "The user's `authorization_token`." }),
});

function toUser(user: {
  ip: string;
  connection_id?: string | null | undefined;
  device_id?: string | null | undefined;
}) {
  return {
    ip: user.ip,
    connectionId: user.connection_id ?? null,
    deviceId: user.device_id ?? null,
  };
}
