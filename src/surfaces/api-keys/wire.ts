/**
 * How API keys are shown: in the format of Khomp REC, with Drawbridge's additions. The mappers name every
 * field that is shown.
 */
import * as z from "zod";
import type { Shown } from "../../http/operation";
import { deriveAccessKey } from "../../keys/access-key";
import { isUsable } from "../../keys/key";
import type { KeyView } from "../../keys/key-store";
import { organisationSlug } from "../../organisations/organisation-store";
import { accessKey } from "../shared/access-key";
import { permissionName } from "../shared/permission-name";
import { time, toRfc3339 } from "../shared/wire-time";

/** The fields that are shown only if `optFields` names them. `email` is the same as `emails`. */
export const OPTIONAL_FIELDS = ["email", "emails", "labels", "permissions"] as const;

type OptionalField = (typeof OPTIONAL_FIELDS)[number];

const lastUse = time.nullable().meta({ description: "May be a minute behind. Null: never used." });

const token = z.object({
  id: z.int(),
  name: z.string(),
  creationTimestamp: time,
  lastUseTimestamp: lastUse,
  short: z.string().meta({ description: "The beginning of the token." }),
});

const value = z.string().meta({ description: "The token itself. It is shown this once." });

const shownAlways = z.object({
  id: z.int(),
  name: z.string(),
  blocked: z.boolean(),
  isValid: z.boolean().meta({
    description: "Whether the key works: not blocked, not over, and in at least one organisation.",
  }),
  dnsName: z.string().nullable().meta({ description: "A user name for your other services." }),
  creationTimestamp: time,
  updateTimestamp: time.nullable().meta({ description: "Null: it was never changed." }),
  expiresAt: time.nullable().meta({ description: "Null: the key has no end." }),
  ipAllowlist: z
    .array(z.string())
    .meta({ description: "CIDRs from which the key may be used. Empty: from anywhere." }),
  organizations: z
    .array(
      z.object({
        id: z.int(),
        name: z.string(),
        short: z.string().meta({ description: "The name in small letters, with hyphens." }),
        creationTimestamp: time,
        lastUseTimestamp: lastUse,
      }),
    )
    .meta({ description: "Those of the key's organisations in which the caller acts too." }),
  token: token.meta({ description: "What is known of the token. Not the token itself." }),
});

const permissions = z.array(permissionName);

/** The schema of a key where it is read. */
export const apiKey = z
  .object({
    ...shownAlways.shape,
    emails: z
      .array(z.string())
      .optional()
      .meta({ description: "Whom to notify, and who may sign in with it." }),
    labels: z.array(z.string()).optional().meta({ description: "Words of its owner." }),
    permissions: permissions.optional(),
  })
  .meta({ id: "ApiKey", description: "`optFields` adds `emails`, `labels` and `permissions`." });

/** The schema of a key after a change, which may have given it a new token. */
export const changedApiKey = z
  .object({
    ...shownAlways.shape,
    token: z.object({ ...token.shape, value: value.optional() }),
    permissions,
    access_key: accessKey.optional(),
  })
  .meta({
    id: "ChangedApiKey",
    description: "`token.value` and `access_key` are there if the token was refreshed.",
  });

/** The schema of a new key. */
export const newApiKey = z
  .object({
    ...shownAlways.shape,
    token: z.object({ ...token.shape, value }),
    permissions,
    access_key: accessKey,
  })
  .meta({
    id: "NewApiKey",
    description: "`token.value` and `access_key` are shown this once.",
  });

/**
 * An API key. It has the fields of all three shapes that Khomp documents.
 * @param fields which optional fields are shown
 */
export function toApiKey(
  key: KeyView,
  now: number,
  fields: readonly OptionalField[] = [],
): Shown<typeof apiKey> {
  return {
    ...alwaysShown(key, now),
    ...(fields.includes("email") || fields.includes("emails") ? { emails: key.emails } : {}),
    ...(fields.includes("labels") ? { labels: key.labels } : {}),
    ...(fields.includes("permissions") ? { permissions: key.permissions } : {}),
  };
}

/** A key after a change, with its permissions. */
export function toChangedApiKey(key: KeyView, now: number): Shown<typeof changedApiKey> {
  return { ...alwaysShown(key, now), permissions: key.permissions };
}

/** A key with its new token and access key. This is the only time that they are shown. */
export function toNewApiKey(
  key: KeyView,
  value: string,
  secret: string,
  now: number,
): Shown<typeof newApiKey> {
  const shown = toChangedApiKey(key, now);
  return {
    ...shown,
    token: { ...shown.token, value },
    access_key: deriveAccessKey(secret, key),
  };
}

function alwaysShown(key: KeyView, now: number): Shown<typeof shownAlways> {
  const lastUsedAt = Math.max(0, ...key.organisations.map((o) => o.lastUsedAt ?? 0));
  return {
    id: key.id,
    name: key.name,
    blocked: key.blocked,
    isValid: isUsable(key, now),
    dnsName: key.dnsName,
    creationTimestamp: toRfc3339(key.createdAt),
    updateTimestamp: toRfc3339(key.updatedAt),
    expiresAt: toRfc3339(key.expiresAt),
    ipAllowlist: key.ipAllowlist,
    organizations: key.organisations.map((organisation) => ({
      id: organisation.id,
      name: organisation.name,
      short: organisationSlug(organisation.name),
      creationTimestamp: toRfc3339(organisation.createdAt),
      lastUseTimestamp: toRfc3339(organisation.lastUsedAt),
    })),
    token: {
      id: key.id,
      name: key.name,
      creationTimestamp: toRfc3339(key.tokenCreatedAt),
      // The use of an older token does not count.
      lastUseTimestamp: lastUsedAt < key.tokenCreatedAt ? null : toRfc3339(lastUsedAt),
      short: key.tokenShort,
    },
  };
}
