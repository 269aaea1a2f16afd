/**
 * The wire format of API keys: that of Khomp REC, with Drawbridge's additions. The mappers name every
 * field that is shown.
 */
import * as z from "zod";
import { humanText } from "../../http/human-text";
import { integerIdText, wholeNumber } from "../../http/whole-numbers";
import { deriveAccessKey } from "../../keys/access-key";
import { parseCidr } from "../../keys/allowlist";
import { LONGEST_KEY_GRACE_SECONDS } from "../../keys/grace";
import { isUsable, KEY_BOUNDS } from "../../keys/key";
import type { KeyView } from "../../keys/key-store";
import type { KeyCreation } from "../../keys/manage-keys";
import { isPermission, PERMISSION_RULE } from "../../keys/permissions";
import type { KeyChange } from "../../keys/who-may-change";
import { organisationSlug } from "../../organisations/organisation-store";
import { toRfc3339 } from "../shared/wire-time";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function list<S extends z.ZodType>(entry: S, most: number) {
  return z
    .array(entry, "must be an array")
    .max(most, `must have at most ${most} entries`)
    .transform((entries) => [...new Set(entries)]);
}

const permission = z.string("must be a string").refine(isPermission, PERMISSION_RULE);

const email = z.email("must be an e-mail address").max(254, "must have at most 254 characters");

const cidr = z.string("must be a string").transform((text, issues) => {
  const parsed = parseCidr(text);
  if (parsed !== null) return parsed;
  issues.addIssue("must be a CIDR of IPv4 or IPv6, such as 192.0.2.0/24");
  return z.NEVER;
});

const dnsName = z
  .string("must be a string")
  .toLowerCase()
  .regex(DNS_LABEL, "must be a DNS label: 1 to 63 letters, digits or hyphens")
  .nullable();

const instant = z.iso
  .datetime({ offset: true, error: "must be an ISO 8601 date and time" })
  .transform((text) => Date.parse(text))
  .refine((time) => time > Date.now(), "must be in the future")
  .nullable();

const organisationIds = list(z.int("must be a number"), KEY_BOUNDS.organisations).refine(
  (ids) => ids.length > 0,
  "must have at least one entry",
);

/** The fields that a create and a change have in common. */
const settings = {
  name: humanText(1, KEY_BOUNDS.nameLength),
  emails: list(email, KEY_BOUNDS.emails),
  permissions: list(permission, KEY_BOUNDS.permissions),
  dnsName: dnsName.optional(),
  expiresAt: instant.optional(),
  ipAllowlist: list(cidr, KEY_BOUNDS.ipAllowlist).nullish(),
};

/** The body of a create. Unknown fields are ignored: clients of Khomp may send some. */
export const createKeyBody = z
  .preprocess(withOneSpelling, z.object({ ...settings, organizationsIds: organisationIds }))
  .transform(
    (body): KeyCreation => ({
      name: body.name,
      organisationIds: body.organizationsIds,
      permissions: body.permissions,
      emails: body.emails,
      dnsName: body.dnsName ?? null,
      expiresAt: body.expiresAt ?? null,
      ipAllowlist: body.ipAllowlist ?? [],
    }),
  );

const changes = {
  name: settings.name.nullish(),
  emails: settings.emails.nullish(),
  permissions: settings.permissions.nullish(),
  organizationsIds: organisationIds.nullish(),
  labels: list(humanText(1, KEY_BOUNDS.labelLength), KEY_BOUNDS.labels).nullish(),
  blocked: z.boolean("must be true or false").nullish(),
  refreshApiToken: z.boolean("must be true or false").nullish(),
  refreshGraceSeconds: wholeNumber(0, LONGEST_KEY_GRACE_SECONDS).nullish(),
};

/** The body of a change. Null means the same as absent, but for dnsName and expiresAt, which it removes. */
export const changeKeyBody = z
  .preprocess(withOneSpelling, z.object({ ...settings, ...changes }))
  .transform((body): KeyChange => {
    const refresh = body.refreshApiToken
      ? { refresh: { graceSeconds: body.refreshGraceSeconds ?? 0 } }
      : {};
    return {
      ...refresh,
      ...present("name", body.name),
      ...present("organisationIds", body.organizationsIds),
      ...present("permissions", body.permissions),
      ...present("emails", body.emails),
      ...present("labels", body.labels),
      ...present("ipAllowlist", body.ipAllowlist),
      ...present("blocked", body.blocked),
      ...(body.dnsName === undefined ? {} : { dnsName: body.dnsName }),
      ...(body.expiresAt === undefined ? {} : { expiresAt: body.expiresAt }),
    };
  });

const OPTIONAL_FIELDS = ["email", "emails", "labels", "permissions"] as const;

/** A field that is shown only if `optFields` names it. */
export type OptionalField = (typeof OPTIONAL_FIELDS)[number];

const optFields = z
  .string()
  .transform((text) => text.split(",").map((name) => name.trim()))
  .pipe(z.array(z.enum(OPTIONAL_FIELDS, `must be any of ${OPTIONAL_FIELDS.join(", ")}`)))
  .default([]);

/** The query of one key. */
export const showKeyQuery = z.object({ optFields });

/** The query of the list. */
export const listKeysQuery = z.object({
  optFields,
  blocked: z
    .enum(["true", "false"], "must be true or false")
    .transform((text) => text === "true")
    .nullable()
    .default(null),
  name: z.string().max(100, "must have at most 100 characters").nullable().default(null),
  token: z.string().max(1_024, "is too long for a token").nullable().default(null),
  limit: z
    .string()
    .regex(/^(?:[1-9][0-9]?|100)$/, "must be a whole number from 1 to 100")
    .transform(Number)
    .default(100),
  after: integerIdText("must be the id of an API key").default(0),
});

/**
 * An API key. It has the fields of all three shapes that Khomp documents.
 * @param fields which optional fields are shown
 */
export function toApiKey(key: KeyView, now: number, fields: readonly OptionalField[] = []) {
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
    ...(fields.includes("email") || fields.includes("emails") ? { emails: key.emails } : {}),
    ...(fields.includes("labels") ? { labels: key.labels } : {}),
    ...(fields.includes("permissions") ? { permissions: key.permissions } : {}),
  };
}

/** A key after a change, with its permissions. */
export function toChangedApiKey(key: KeyView, now: number) {
  return toApiKey(key, now, ["permissions"]);
}

/** A key with its new token and access key. This is the only time that they are shown. */
export function toNewApiKey(key: KeyView, token: string, secret: string, now: number) {
  const shown = toChangedApiKey(key, now);
  return {
    ...shown,
    token: { ...shown.token, value: token },
    access_key: deriveAccessKey(secret, key),
  };
}

/**
 * Khomp's documentation writes `organizationsIds` in its tables and `organizationIds` in an example:
 * both are taken.
 */
function withOneSpelling(body: unknown): unknown {
  if (typeof body !== "object" || body === null) return body;
  const { organizationIds, organizationsIds, ...rest } = body as Record<string, unknown>;
  return { ...rest, organizationsIds: organizationsIds ?? organizationIds };
}

function present<K extends string, V>(name: K, value: V | null | undefined): { [P in K]?: V } {
  return value === null || value === undefined ? {} : ({ [name]: value } as { [P in K]: V });
}
