/**
 * The wire format of relay permissions and connections: that of the HULFT-WebConnect Site API, in which
 * `enabled` is a string. The mappers name every field that is shown.
 */
import * as z from "zod";
import { MOST_SKIPPED_ROWS } from "../../db/numbered-pages";
import { humanText } from "../../http/human-text";
import type { Shown } from "../../http/operation";
import { wholeNumberText } from "../../http/whole-numbers";
import {
  CONNECTION_ID_PATTERN,
  type Connection,
  DIRECTIONS,
  MAX_MEMO_LENGTH,
  type PermissionDirection,
  type PermissionFacts,
  type PermissionKey,
} from "../../relay-permissions/permission";
import { refused } from "./errors";

/** The schema of a connection's id. */
export const connectionId = z
  .string("must be a string")
  .regex(
    CONNECTION_ID_PATTERN,
    'must be 1 to 16 letters, digits, dots, _ or -, and not "." or ".."',
  )
  .meta({
    description: "The id of a connection: 1 to 16 letters, digits, dots, `_` or `-`.",
    example: "plant-a",
  });

/** The parameters of a path that name a permission. They only describe: what has another form is answered 404. */
export const permissionKeyForm = {
  connectionId: connectionId.meta({ description: "The connection on the local side." }),
  remoteConnectionId: connectionId.meta({ description: "The connection on the other side." }),
  direction: z
    .enum(DIRECTIONS)
    .meta({ description: "Whether the local side may send, or receive." }),
};

/** The schema of a direction. */
export const direction = z.enum(["send", "receive"], "must be send or receive").meta({
  description:
    "What the connection `connectionId` may do: `send` to the other, or `receive` from it.",
});
const trueOrFalse = z.enum(["true", "false"], 'must be "true" or "false"');
const enabledText = trueOrFalse.transform((text) => text === "true");
const enabled = z.union([z.boolean(), enabledText], 'must be "true" or "false"');
const memo = humanText(0, MAX_MEMO_LENGTH).meta({
  description: `A note of yours, with at most ${MAX_MEMO_LENGTH} characters.`,
});

/** The body of a POST of a permission. Unknown fields are ignored: other clients may send some. */
export const createPermissionBody = z
  .object({
    connectionId,
    remoteConnectionId: connectionId,
    direction,
    enabled: enabled.nullish().meta({
      description: 'Whether it counts: "true" or "false", or a boolean. Left out: "false".',
    }),
    memo: memo.nullish(),
  })
  .transform((body) => ({ ...body, enabled: body.enabled ?? false, memo: body.memo ?? "" }));

/** The body of a PUT of a permission. A field that is left out stays as it is. */
export const updatePermissionBody = z
  .object({
    enabled: enabled
      .nullish()
      .meta({ description: 'Whether it counts: "true" or "false", or a boolean.' }),
    memo: memo.nullish(),
  })
  .transform((body) => ({ enabled: body.enabled ?? undefined, memo: body.memo ?? undefined }));

/** The body of a POST of a connection. */
export const createConnectionBody = z
  .object({ connectionId, memo: memo.nullish() })
  .transform((body) => ({ ...body, memo: body.memo ?? "" }));

/** The part of the list that an answer with one row claims to be; also the default of a list. */
export const FIRST_PAGE = { startIndex: 0, maxResults: 30 };

const paging = {
  startIndex: wholeNumberText(0, Number.MAX_SAFE_INTEGER)
    .default(FIRST_PAGE.startIndex)
    .meta({
      description: `How many rows to skip. \`after\` costs less, and misses no row. In a list of more than ${2 * MOST_SKIPPED_ROWS} rows, what is more than ${MOST_SKIPPED_ROWS} rows away from both ends is reached row after row only.`,
    }),
  maxResults: wholeNumberText(1, 1_000)
    .default(FIRST_PAGE.maxResults)
    .meta({ description: "How many rows the answer has at most." }),
};

/** `<connectionId>/<remoteConnectionId>/<direction>`, as in a path. */
const keyText = z.string().transform((text, issues): PermissionKey => {
  const [local, remote, last, ...rest] = text.split("/");
  const key = readPermissionKey(local, remote, last);
  if (key && rest.length === 0) return key;
  issues.addIssue("must be connectionId/remoteConnectionId/direction of the last row you have");
  return z.NEVER;
});

/** The query of the lists of permissions. `after` is an addition of Drawbridge. */
export const permissionQuery = z.object({
  ...paging,
  remoteConnectionId: connectionId
    .nullable()
    .default(null)
    .meta({ description: "Only those with this connection on the other side." }),
  direction: direction.nullable().default(null).meta({ description: "Only of this direction." }),
  enabled: enabledText
    .nullable()
    .default(null)
    .meta({ description: "Only those that are enabled, or are not." }),
  after: keyText.nullable().default(null).meta({
    description:
      "The key of the last row that you have. The list goes on after it: `plant-a/plant-b/send`.",
  }),
});

/** The query of the list of connections. `after` is an addition of Drawbridge. */
export const connectionQuery = z.object({
  ...paging,
  after: connectionId.nullable().default(null).meta({
    description: "The `connectionId` of the last row that you have. The list goes on after it.",
  }),
});

/**
 * The connection that a path names.
 * @throws Refused 404 if its id has another form: then it was never registered
 */
export function requireConnectionId(text: string): string {
  if (!CONNECTION_ID_PATTERN.test(text)) throw refused({ code: "connection-not-found" });
  return text;
}

/**
 * The permission that a path names.
 * @throws Refused 404 if a part has another form: then there is none
 */
export function requirePermissionKey(parts: {
  connectionId: string;
  remoteConnectionId: string;
  direction: string;
}): PermissionKey {
  const key = readPermissionKey(parts.connectionId, parts.remoteConnectionId, parts.direction);
  if (!key) throw refused({ code: "permission-not-found" });
  return key;
}

function readPermissionKey(
  local: string | undefined,
  remote: string | undefined,
  last: string | undefined,
): PermissionKey | null {
  if (
    !local ||
    !CONNECTION_ID_PATTERN.test(local) ||
    !remote ||
    !CONNECTION_ID_PATTERN.test(remote)
  )
    return null;
  const found = DIRECTIONS.find((one): one is PermissionDirection => one === last);
  return found ? { connectionId: local, remoteConnectionId: remote, direction: found } : null;
}

/** The schema of a permission, alone or in a list. */
export const relayPermission = z
  .object({
    connectionId,
    remoteConnectionId: connectionId,
    direction,
    enabled: trueOrFalse.meta({ description: "Whether it counts. A string." }),
    memo: z.string(),
  })
  .meta({ id: "RelayPermission" });

/** Shows a permission. */
export function toPermission(permission: PermissionFacts): Shown<typeof relayPermission> {
  return {
    connectionId: permission.connectionId,
    remoteConnectionId: permission.remoteConnectionId,
    direction: permission.direction,
    enabled: permission.enabled ? "true" : "false",
    memo: permission.memo,
  };
}

/** The schema of a connection's definition, alone or in a list. */
export const connectionDefinition = z
  .object({ connectionId, memo: z.string() })
  .meta({ id: "ConnectionDefinition" });

/** Shows a connection. */
export function toConnectionDefinition(connection: Connection): Shown<typeof connectionDefinition> {
  return { connectionId: connection.connectionId, memo: connection.memo };
}

const envelope = z.object({
  totalSize: z.int().meta({ description: "How many rows the whole list has." }),
  fetchSize: z.int().meta({ description: "How many rows are in this answer." }),
  startIndex: z.int().meta({ description: "As it was asked for." }),
  maxResults: z.int().meta({ description: "As it was asked for." }),
});

/** The schema of a list of permissions. */
export const relayPermissions = z
  .object({ ...envelope.shape, permission: z.array(relayPermission) })
  .meta({ id: "RelayPermissions" });

/** The schema of a list of connections. */
export const connectionDefinitions = z
  .object({ ...envelope.shape, definitions: z.array(connectionDefinition) })
  .meta({ id: "ConnectionDefinitions" });

/** The fields of a list beside its rows. */
export function toEnvelope(
  page: { total: number; fetched: number },
  query: { startIndex: number; maxResults: number },
): Shown<typeof envelope> {
  return {
    totalSize: page.total,
    fetchSize: page.fetched,
    startIndex: query.startIndex,
    maxResults: query.maxResults,
  };
}
