/**
 * The wire format of relay permissions and connections: the HULFT-WebConnect Site API's. `enabled` is
 * a string there. What leaves is listed field by field here, and nowhere else.
 */
import { z } from "zod";
import { humanText } from "../../http/human-text";
import {
  CONNECTION_ID_PATTERN,
  type Connection,
  DIRECTIONS,
  MOST_MEMO_LENGTH,
  type PermissionDirection,
  type PermissionFacts,
  type PermissionKey,
} from "../../relay-permissions/permission";

/** The schema of a connection's id. */
export const connectionId = z
  .string("must be a string")
  .regex(
    CONNECTION_ID_PATTERN,
    'must be 1 to 16 letters, digits, dots, _ or -, and not "." or ".."',
  );

const direction = z.enum(["send", "receive"], "must be send or receive");
const enabledText = z
  .enum(["true", "false"], 'must be "true" or "false"')
  .transform((text) => text === "true");
const enabled = z.union([z.boolean(), enabledText], 'must be "true" or "false"');
const memo = humanText(0, MOST_MEMO_LENGTH);

/** The body of a POST of a permission. Unknown fields are ignored, as for all third-party clients. */
export const createPermissionBody = z
  .object({
    connectionId,
    remoteConnectionId: connectionId,
    direction,
    enabled: enabled.nullish(),
    memo: memo.nullish(),
  })
  .transform((body) => ({ ...body, enabled: body.enabled ?? false, memo: body.memo ?? "" }));

/** The body of a PUT of a permission: what is left out stays. */
export const updatePermissionBody = z
  .object({ enabled: enabled.nullish(), memo: memo.nullish() })
  .transform((body) => ({ enabled: body.enabled ?? undefined, memo: body.memo ?? undefined }));

/** The body of a POST of a connection. */
export const createConnectionBody = z
  .object({ connectionId, memo: memo.nullish() })
  .transform((body) => ({ ...body, memo: body.memo ?? "" }));

/** Which part of a list a single row is. */
export const FIRST_PAGE = { startIndex: 0, maxResults: 30 };

function whole(least: number, most: number, fallback: number) {
  const rule =
    most === Number.MAX_SAFE_INTEGER
      ? `must be a whole number from ${least}`
      : `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^[0-9]{1,15}$/, rule)
    .transform(Number)
    .refine((n) => n >= least && n <= most, rule)
    .default(fallback);
}

const paging = {
  startIndex: whole(0, Number.MAX_SAFE_INTEGER, FIRST_PAGE.startIndex),
  maxResults: whole(1, 1_000, FIRST_PAGE.maxResults),
};

/** `<connectionId>/<remoteConnectionId>/<direction>`, as in a path. */
const keyText = z.string().transform((text, issues): PermissionKey => {
  const [local, remote, last, ...rest] = text.split("/");
  const key = readKey(local, remote, last);
  if (key && rest.length === 0) return key;
  issues.addIssue("must be connectionId/remoteConnectionId/direction of the last row you have");
  return z.NEVER;
});

/** The query of the lists of permissions; `after` is ours. */
export const permissionQuery = z.object({
  ...paging,
  remoteConnectionId: connectionId.nullable().default(null),
  direction: direction.nullable().default(null),
  enabled: enabledText.nullable().default(null),
  after: keyText.nullable().default(null),
});

/** The query of the list of connections; `after` is ours. */
export const connectionQuery = z.object({
  ...paging,
  after: connectionId.nullable().default(null),
});

/** The key that a path names; null when none can have it. */
export function readKey(
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

/** A permission, alone or in a list. */
export function toPermission(permission: PermissionFacts) {
  return {
    connectionId: permission.connectionId,
    remoteConnectionId: permission.remoteConnectionId,
    direction: permission.direction,
    enabled: String(permission.enabled),
    memo: permission.memo,
  };
}

/** A connection's definition, alone or in a list. */
export function toDefinition(connection: Connection) {
  return { connectionId: connection.connectionId, memo: connection.memo };
}

/** What stands before the rows of a list. */
export function toEnvelope(
  page: { total: number; fetched: number },
  query: { startIndex: number; maxResults: number },
) {
  return {
    totalSize: page.total,
    fetchSize: page.fetched,
    startIndex: query.startIndex,
    maxResults: query.maxResults,
  };
}
