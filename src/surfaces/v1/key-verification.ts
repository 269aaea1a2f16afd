/**
 * The operation on `/v1` with which other services of an organisation find out what an API key may do:
 * `docs/api-keys.md`.
 */
import * as z from "zod";
import { noteKeyUse } from "../../http/authenticate";
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import { findKeyByToken } from "../../keys/key-cache";
import { type KeyVerification, verifyKey } from "../../keys/verify-key";
import { parseAddress } from "../../platform/ip-address";
import { permissionName } from "../shared/permission-name";
import { time, toRfc3339 } from "../shared/wire-time";

const verifyBody = z
  .strictObject({
    token: z
      .string("must be a string")
      .max(1_024, "is too long for a token")
      .meta({ description: "The API key to verify." }),
    permission: permissionName.nullish().meta({
      description:
        "A permission that the key has to hold: one of Drawbridge's, or a name of your own.",
    }),
    ip: z
      .string("must be a string")
      .refine((ip) => parseAddress(ip) !== null, "must be an IP address")
      .nullish()
      .meta({
        description:
          "The IPv4 or IPv6 address from which the key was used. Without it, a key with an allowlist is refused.",
      }),
    dns_name: z
      .string("must be a string")
      .max(63, "must have at most 63 characters")
      .nullish()
      .meta({ description: "The `dnsName` that the key has to have." }),
    organisation_id: z
      .int("must be a whole number")
      .nullish()
      .meta({ description: "The organisation in which the key has to act." }),
  })
  .transform((body) => ({
    token: body.token,
    asked: {
      permission: body.permission ?? null,
      ip: body.ip ?? null,
      dnsName: body.dns_name ?? null,
      organisationId: body.organisation_id ?? null,
    },
  }));

const verification = z
  .object({
    valid: z.boolean(),
    code: z.enum(["valid", "not-found", "blocked", "expired", "forbidden", "ip-refused"]).meta({
      description:
        "`not-found` is also said of a key of another organisation. `forbidden`: the key lacks the permission or the organisation; of a publishable key, unless the permission is `relays:host`.",
    }),
    key_id: z.int().nullable().meta({ description: "Null: the key was not found." }),
    name: z.string().nullable().meta({ description: "Null: the key was not found." }),
    organisations: z
      .array(z.int())
      .meta({ description: "Those of the key's organisations that are also yours." }),
    permissions: z.array(permissionName),
    expires_at: time.nullable().meta({ description: "Null: it does not expire, or is not found." }),
  })
  .meta({ id: "KeyVerification" });

/** The verification of API keys, for other services of an organisation. */
export const keyVerification: OperationGroup = {
  name: "Key verification",
  description: "Another service of yours asks whether an API key that it was shown is good.",
  page: "api-keys.md",
  operations: [
    operation({
      id: "verifyKey",
      method: "POST",
      path: "/v1/keys:verify",
      caller: key("keys:read"),
      summary: "Verify an API key",
      description:
        "For other services of yours that take API keys of Drawbridge. The answer is 200 for every token: `valid` says whether the key works and fulfils the conditions, and `code` why not. `permission`, `ip`, `dns_name` and `organisation_id` are conditions. The answer may be 10 seconds behind.",
      body: verifyBody,
      answers: { 200: verification },
      example: { body: { token: "drb_unknown", permission: "relays:write", ip: "198.51.100.1" } },
      async handle(c, { body: { token, asked }, caller: { organisationIds } }) {
        const now = Date.now();
        const key = await findKeyByToken(c.get("db"), token, now);
        const found = key === "malformed" ? null : key;
        const verified = verifyKey(found, organisationIds, asked, now);
        const used = asked.organisationId ?? verified.organisationIds[0];
        if (found && verified.code === "valid" && used !== undefined) noteKeyUse(c, found.id, used);
        return { status: 200, body: toWire(verified) };
      },
    }),
  ],
};

function toWire({ code, key, organisationIds }: KeyVerification): Shown<typeof verification> {
  return {
    valid: code === "valid",
    code,
    key_id: key?.id ?? null,
    name: key?.name ?? null,
    organisations: organisationIds,
    permissions: key?.permissions ?? [],
    expires_at: toRfc3339(key?.expiresAt ?? null),
  };
}
