/** Fields that the bodies of several calls about devices share: roles, scopes, and short texts. */
import * as z from "zod";
import { isRole, isScope, MAX_ROLES, MAX_SCOPES, OPERATOR_SCOPES } from "../../devices/scopes";

/** A role. */
export const role = z
  .string("must be a string")
  .refine(isRole, "must be 1 to 32 letters, digits, _ or -")
  .meta({
    pattern: "^[A-Za-z0-9_-]{1,32}$",
    description:
      "What a device is in the application, such as `operator`: 1 to 32 letters, digits, `_` or `-`.",
    example: "operator",
  });

/** The roles that are asked for or approved. */
export const roles = z
  .array(role, "must be an array")
  .min(1, "must have at least one entry")
  .max(MAX_ROLES, `must have at most ${MAX_ROLES} entries`);

/** The scope that a token is asked about. */
export const scope = z
  .string("must be a string")
  .refine(isScope, "is not a scope")
  .meta({ example: "operator.read" });

/** The scopes that are asked for, approved or given. */
export const scopes = z
  .array(
    z
      .string("must be a string")
      .refine(
        isScope,
        "is not a scope: of operator there is a closed set, others are <role>.<name>",
      )
      .meta({
        id: "Scope",
        description: `\`<role>.<name>\`, with up to four parts behind the role. Of the role \`operator\` there is a closed list: ${Object.keys(OPERATOR_SCOPES).join(", ")}.`,
        example: "operator.read",
      }),
    "must be an array",
  )
  .max(MAX_SCOPES, `must have at most ${MAX_SCOPES} entries`)
  .refine((list) => new Set(list).size === list.length, "must not repeat a scope")
  .meta({ uniqueItems: true });

/** A text that a program writes: a key, a nonce, a signature, a token, a digest. */
export const shortText = z.string("must be a string").max(128, "is too long");
