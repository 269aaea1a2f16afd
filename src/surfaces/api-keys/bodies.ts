/** What comes in at API keys: bodies and queries, in the format of Khomp REC, with Drawbridge's additions. */
import * as z from "zod";
import { humanText } from "../../http/human-text";
import { integerIdText, wholeNumber } from "../../http/whole-numbers";
import { parseCidr } from "../../keys/allowlist";
import { LONGEST_KEY_GRACE_SECONDS } from "../../keys/grace";
import { KEY_BOUNDS } from "../../keys/key";
import type { KeyCreation } from "../../keys/manage-keys";
import { HOST_SESSIONS, mayStandTogether } from "../../keys/permissions";
import type { KeyChange } from "../../keys/who-may-change";
import { permissionName } from "../shared/permission-name";
import { OPTIONAL_FIELDS } from "./wire";

const DNS_LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

function list<S extends z.ZodType>(entry: S, most: number) {
  return z
    .array(entry, "must be an array")
    .max(most, `must have at most ${most} entries`)
    .transform((entries) => [...new Set(entries)]);
}

const email = z.email("must be an e-mail address").max(254, "must have at most 254 characters");

const cidr = z
  .string("must be a string")
  .transform((text, issues) => {
    const parsed = parseCidr(text);
    if (parsed !== null) return parsed;
    issues.addIssue("must be a CIDR of IPv4 or IPv6, such as 192.0.2.0/24");
    return z.NEVER;
  })
  .meta({ description: "A CIDR of IPv4 or IPv6, or one address.", example: "192.0.2.0/24" });

const dnsName = z
  .string("must be a string")
  .regex(DNS_LABEL, "must be a DNS label: 1 to 63 letters, digits or hyphens")
  .toLowerCase()
  .nullable();

const instant = z.iso
  .datetime({ offset: true, error: "must be an ISO 8601 date and time" })
  .transform((text) => Date.parse(text))
  .refine((time) => time > Date.now(), "must be in the future")
  .nullable();

const organisationIds = list(z.int("must be a number"), KEY_BOUNDS.organisations)
  .refine((ids) => ids.length > 0, "must have at least one entry")
  .meta({ minItems: 1 });

/** The fields that a create and a change have in common. */
const settings = {
  name: humanText(1, KEY_BOUNDS.nameLength).meta({
    description: `What the key is for: 1 to ${KEY_BOUNDS.nameLength} characters.`,
  }),
  emails: list(email, KEY_BOUNDS.emails).meta({
    description:
      "Whom to notify about the key: its events carry these addresses. If it holds `operator:sign-in`, these people may also sign in with it through Cloudflare Access.",
  }),
  permissions: list(permissionName, KEY_BOUNDS.permissions)
    .refine(
      mayStandTogether,
      `must be ${HOST_SESSIONS} alone, or leave it out: a key that holds it is publishable, and may hold nothing else`,
    )
    .meta({
      description: `What the key may do. You have to hold all of them. \`${HOST_SESSIONS}\` stands alone.`,
    }),
  dnsName: dnsName.optional().meta({
    description:
      "A user name for your other services: a DNS label, unique in the deployment. It is kept in small letters. Null: none.",
  }),
  expiresAt: instant
    .optional()
    .meta({ description: "When the key stops working: in the future. Null: never." }),
  ipAllowlist: list(cidr, KEY_BOUNDS.ipAllowlist)
    .nullish()
    .meta({ description: "From where the key may be used. Empty: from anywhere." }),
};

const otherSpelling = organisationIds
  .nullish()
  .meta({ description: "The same as `organizationsIds`, which counts if both are there." });

/** The body of a create. Unknown fields are ignored: clients of Khomp may send some. */
export const createKeyBody = z
  .preprocess(
    withOneSpelling,
    z
      .object({
        ...settings,
        organizationsIds: organisationIds.meta({
          description:
            "Ids of the organisations in which the key acts. By itself it acts in the first of them. Required, under this name or as `organizationIds`.",
        }),
        organizationIds: otherSpelling,
      })
      // Either spelling will do, which `required` cannot say.
      .meta({ required: ["name", "emails", "permissions"] }),
  )
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
  organizationsIds: organisationIds.nullish().meta({
    description: "In which organisations the key acts. The first is what it acts in by itself.",
  }),
  organizationIds: otherSpelling,
  labels: list(humanText(1, KEY_BOUNDS.labelLength), KEY_BOUNDS.labels)
    .nullish()
    .meta({ description: "Words of yours, to find the key again." }),
  blocked: z
    .boolean("must be true or false")
    .nullish()
    .meta({ description: "True: the key does not work until it is false again." }),
  refreshApiToken: z
    .boolean("must be true or false")
    .nullish()
    .meta({ description: "True: the key gets a new token and access key." }),
  refreshGraceSeconds: wholeNumber(0, LONGEST_KEY_GRACE_SECONDS).nullish().meta({
    description:
      "After a refresh: for how many seconds the token and access key until now still work. 0 if it is left out.",
  }),
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

const optFields = z
  .string()
  .transform((text) => text.split(",").map((name) => name.trim()))
  .pipe(z.array(z.enum(OPTIONAL_FIELDS, `must be any of ${OPTIONAL_FIELDS.join(", ")}`)))
  .optional()
  .meta({
    description: `Which fields to add, with commas between them: any of ${OPTIONAL_FIELDS.join(", ")}.`,
    example: "labels,permissions",
  });

/** The query of one key. */
export const showKeyQuery = z.object({ optFields });

/** The query of the list. */
export const listKeysQuery = z.object({
  optFields,
  blocked: z
    .enum(["true", "false"], "must be true or false")
    .transform((text) => text === "true")
    .nullable()
    .default(null)
    .meta({ description: "Only keys that are blocked, or are not." }),
  name: z
    .string()
    .max(100, "must have at most 100 characters")
    .nullable()
    .default(null)
    .meta({ description: "Only keys whose name has this in it, in any case." }),
  token: z
    .string()
    .max(1_024, "is too long for a token")
    .nullable()
    .default(null)
    .meta({ description: "Only the key with this token: all of it, or its `short`." }),
  limit: z
    .string()
    .regex(/^(?:[1-9][0-9]?|100)$/, "must be a whole number from 1 to 100")
    .transform(Number)
    .meta({ type: "integer", minimum: 1, maximum: 100 })
    .default(100)
    .meta({ description: "How many keys the page has at most." }),
  after: integerIdText("must be the id of an API key")
    .default(0)
    .meta({ description: "The id of the last key that you have. The list goes on after it." }),
});

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
