/** Applications, pairing requests and devices on `/v1`: the bodies and queries, and how they are shown. */
import * as z from "zod";
import { type Application, LONGEST_APPLICATION_NAME } from "../../devices/application-store";
import { type Device, grantOf } from "../../devices/device";
import type { DeviceWithLastSeen } from "../../devices/device-store";
import { LONGEST_PROFILE_TEXT, type RequestedAccess } from "../../devices/profile";
import { isRole, isScope, MAX_ROLES, MAX_SCOPES, roleOf } from "../../devices/scopes";
import type { DeviceTokenVerification } from "../../devices/verify-device";
import { humanText, signedText } from "../../http/human-text";
import { pageCursor, pageLimit } from "../../http/paging";
import { fingerprint } from "../../pairing/device-key";
import type { DeviceProof } from "../../pairing/device-proof";
import {
  LONGEST_REASON,
  type PairingRequest,
  REQUEST_STATUSES,
  requestDigest,
  unique,
} from "../../pairing/pairing-request";
import { LONGEST_SETUP_CODE_SECONDS } from "../../pairing/setup-codes";
import { normalisePlatform } from "../../pairing/signed-string";
import { toRfc3339 } from "../shared/wire-time";

const role = z.string("must be a string").refine(isRole, "must be 1 to 32 letters, digits, _ or -");
const roles = z
  .array(role, "must be an array")
  .min(1, "must have at least one entry")
  .max(MAX_ROLES, `must have at most ${MAX_ROLES} entries`);
const scopes = z
  .array(
    z
      .string("must be a string")
      .refine(
        isScope,
        "is not a scope: of operator there is a closed set, others are <role>.<name>",
      ),
    "must be an array",
  )
  .max(MAX_SCOPES, `must have at most ${MAX_SCOPES} entries`)
  .refine((list) => new Set(list).size === list.length, "must not repeat a scope");

/**
 * Text that the device signs. It is not normalised, and must not hold the characters that separate
 * fields.
 */
const signed = (least: number) =>
  signedText(least, LONGEST_PROFILE_TEXT).refine(
    (text) => !/[|,]/.test(text),
    "must not hold | or ,",
  );

const time = z.int("must be Unix milliseconds").min(0, "must be Unix milliseconds");
const short = z.string("must be a string").max(128, "is too long");

/** The body of a pairing request. */
export const pairingRequestBody = z
  .strictObject({
    device: z.strictObject({
      id: z
        .string("must be a string")
        .regex(/^[0-9a-f]{64}$/, "must be lower-case hex of 32 bytes"),
      public_key: short,
      signed_at: time,
      nonce: short,
      signature: short,
    }),
    client: z.strictObject({
      id: signed(1),
      mode: signed(1),
      display_name: humanText(0, LONGEST_PROFILE_TEXT).default(""),
      platform: signed(0).default(""),
      device_family: signed(0).default(""),
    }),
    role,
    roles: roles.optional(),
    scopes,
    silent: z.boolean("must be true or false").default(false),
    setup_code: short.min(1, "must not be empty").optional(),
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

/** The bodies of the operators' calls. */
export const applicationBody = z.strictObject({ name: humanText(1, LONGEST_APPLICATION_NAME) });
export const approveRequestBody = z.strictObject({
  digest: short.optional(),
  roles: roles.optional(),
  scopes: scopes.optional(),
});
export const rejectRequestBody = z.strictObject({
  reason: humanText(1, LONGEST_REASON).nullable().default(null),
});
export const labelDeviceBody = z.strictObject({
  label: humanText(1, LONGEST_PROFILE_TEXT).nullable(),
});
export const rotateTokenBody = z.strictObject({ role, scopes: scopes.nullable().default(null) });
export const revokeTokenBody = z.strictObject({ role });
export const verifyTokenBody = z.strictObject({
  token: short,
  scope: z.string("must be a string").refine(isScope, "is not a scope").nullable().default(null),
});
const TTL = `must be a whole number of seconds from 1 to ${LONGEST_SETUP_CODE_SECONDS}`;
export const setupCodeBody = z
  .strictObject({
    role,
    scopes,
    ttl_seconds: z.int(TTL).min(1, TTL).max(LONGEST_SETUP_CODE_SECONDS, TTL),
  })
  .superRefine((body, issues) => {
    for (const [index, scope] of body.scopes.entries()) {
      if (roleOf(scope) === body.role) continue;
      issues.addIssue({
        code: "custom",
        path: ["scopes", index],
        message: "belongs to another role",
      });
    }
  });

/** The queries of the lists. */
export const requestsQuery = z.strictObject({
  status: z
    .enum(REQUEST_STATUSES, `must be one of ${REQUEST_STATUSES.join(", ")}`)
    .nullable()
    .default(null),
  limit: pageLimit,
  cursor: pageCursor(/^pr-[0-9a-f-]{36}$/),
});
export const applicationsQuery = z.strictObject({
  limit: pageLimit,
  cursor: pageCursor(/^[0-9]{1,15}\.pa-[0-9a-z]{14}$/),
});
export const devicesQuery = z.strictObject({
  limit: pageLimit,
  cursor: pageCursor(/^[0-9]{1,15}\.[0-9a-f]{64}$/),
});

/** An application. */
export function toApplicationWire({ id, name, createdAt }: Omit<Application, "organisationId">) {
  return { id, name, created_at: toRfc3339(createdAt) };
}

/** A pairing request, as operators see it. */
export function toRequestWire(request: PairingRequest) {
  const { outcome } = request;
  return {
    pair_request_id: request.id,
    application_id: request.applicationId,
    status: request.status,
    device_id: request.deviceId,
    public_key: request.publicKey,
    fingerprint: fingerprint(request.deviceId),
    digest: requestDigest(request),
    display_name: request.displayName,
    platform: request.platform,
    device_family: request.family,
    client_id: request.clientId,
    client_mode: request.clientMode,
    role: request.role,
    roles: request.roles,
    scopes: request.scopes,
    remote_ip: request.remoteIp,
    silent: request.silent,
    is_repair: request.isRepair,
    requested_at: toRfc3339(request.requestedAt),
    expires_at: toRfc3339(request.expiresAt),
    decided_by: outcome?.decidedBy ?? null,
    decided_by_email: outcome?.decidedByEmail ?? null,
    decided_at: outcome ? toRfc3339(outcome.at) : null,
    granted: outcome?.granted ?? null,
    reason: outcome?.reason ?? null,
  };
}

/** A device, as operators see it. */
export function toDeviceWire(device: DeviceWithLastSeen) {
  return {
    ...toDeviceFacts(device),
    tokens: device.roles.map((each) => {
      const { token, revoked, limit } = grantOf(device, each);
      const status = revoked ? "revoked" : token ? "active" : "to-collect";
      return { role: each, status, scopes: token?.scopes ?? limit };
    }),
    last_seen_at: device.lastSeenAt === null ? null : toRfc3339(device.lastSeenAt),
  };
}

/** A device without its tokens, as events show it. */
export function toDeviceFacts(device: Omit<Device, "grants">) {
  return {
    device_id: device.id,
    application_id: device.applicationId,
    label: device.label,
    public_key: device.publicKey,
    fingerprint: fingerprint(device.id),
    display_name: device.displayName,
    platform: device.platform,
    device_family: device.family,
    client_id: device.clientId,
    client_mode: device.clientMode,
    role: device.role,
    roles: device.roles,
    scopes: device.scopes,
    created_at: toRfc3339(device.createdAt),
  };
}

/** Whether a device token is valid and what for, as a gateway reads it. */
export function toVerificationWire(verified: DeviceTokenVerification) {
  const device = "device" in verified ? verified.device : null;
  return {
    valid: verified.ok,
    code: verified.ok ? "valid" : verified.code,
    device_id: device?.id ?? null,
    application_id: device?.applicationId ?? null,
    role: "role" in verified ? verified.role : null,
    scopes: "scopes" in verified ? verified.scopes : [],
  };
}
