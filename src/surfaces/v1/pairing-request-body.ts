/** What a device sends when it asks to be let in. */
import * as z from "zod";
import { LONGEST_PROFILE_TEXT, type RequestedAccess } from "../../devices/profile";
import { roleOf } from "../../devices/scopes";
import { humanText, signedText } from "../../http/human-text";
import type { DeviceProof } from "../../pairing/device-proof";
import { unique } from "../../pairing/pairing-request";
import { normalisePlatform } from "../../pairing/signed-string";
import { role, roles, scopes, shortText } from "./device-fields";

/**
 * Text that the device signs. It is not normalised, and must not hold the characters that separate
 * fields.
 */
const signed = (least: number) =>
  signedText(least, LONGEST_PROFILE_TEXT)
    .refine((text) => !/[|,]/.test(text), "must not hold | or ,")
    .meta({ pattern: "^[^|,]*$" });

const signedAt = z.int("must be Unix milliseconds").min(0, "must be Unix milliseconds").meta({
  description:
    "When the device signed, in Unix milliseconds: at most 120 seconds off the server's time.",
});

const device = z.strictObject({
  id: z
    .string("must be a string")
    .regex(/^[0-9a-f]{64}$/, "must be lower-case hex of 32 bytes")
    .meta({ description: "The SHA-256 of the 32 bytes of the key, in lower-case hexadecimal." }),
  public_key: shortText.meta({
    description: "The raw 32 bytes of an Ed25519 key, in base64url without padding.",
  }),
  signed_at: signedAt,
  nonce: shortText.meta({ description: "The `nonce` of the challenge." }),
  signature: shortText.meta({
    description: "The 64 bytes of the signature, in base64url without padding.",
  }),
});

const client = z.strictObject({
  id: signed(1).meta({ description: "Which program asks. `cli` is a good value." }),
  mode: signed(1).meta({ description: "How the program runs. `cli` is a good value." }),
  display_name: humanText(0, LONGEST_PROFILE_TEXT)
    .default("")
    .meta({
      description: `What the operator sees: at most ${LONGEST_PROFILE_TEXT} characters. It is not signed.`,
    }),
  platform: signed(0).default("").meta({ description: "Such as `Linux`." }),
  device_family: signed(0).default("").meta({ description: "Such as `Server`." }),
});

/** The body of a pairing request. It becomes what is asked for, and the proof. */
export const pairingRequestBody = z
  .strictObject({
    device: device.meta({ description: "The key, and the proof that the device has it." }),
    client: client.meta({ description: "What the device says of itself." }),
    role: role.meta({ description: "The role that it asks with, such as `operator`." }),
    roles: roles.optional().meta({
      description:
        "All roles that it asks for. Left out: `role` alone. `role` is always one of them.",
    }),
    scopes: scopes.meta({
      description:
        "The scopes that it asks for. Each belongs to one of the roles that are asked for.",
    }),
    silent: z
      .boolean("must be true or false")
      .default(false)
      .meta({ description: "True: nobody is notified. It is never a reason to approve." }),
    setup_code: shortText.min(1, "must not be empty").optional().meta({
      description: "A code that an operator made: it lets the device in without a decision.",
    }),
  })
  .superRefine((body, issues) => {
    const requestedRoles = [body.role, ...(body.roles ?? [])];
    for (const [index, scope] of body.scopes.entries()) {
      if (requestedRoles.includes(roleOf(scope))) continue;
      issues.addIssue({
        code: "custom",
        path: ["scopes", index],
        message: "belongs to a role that is not asked for",
      });
    }
  })
  .transform(({ device, client, ...body }): { requested: RequestedAccess; proof: DeviceProof } => ({
    requested: {
      deviceId: device.id,
      publicKey: device.public_key,
      displayName: client.display_name,
      platform: normalisePlatform(client.platform),
      family: normalisePlatform(client.device_family),
      clientId: client.id,
      clientMode: client.mode,
      role: body.role,
      roles: unique([body.role, ...(body.roles ?? [])]),
      scopes: body.scopes,
      silent: body.silent,
    },
    proof: {
      nonce: device.nonce,
      signedAt: device.signed_at,
      signature: device.signature,
      setupCode: body.setup_code ?? null,
    },
  }));
