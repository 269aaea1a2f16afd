/** Pairing requests on `/v1`, as operators and webhooks see them. */
import * as z from "zod";
import type { Shown } from "../../http/operation";
import { type PairingRequest, REQUEST_STATUSES } from "../../pairing/pairing-request";
import { marksOf } from "../../pairing/request-marks";
import { time, toRfc3339 } from "../shared/wire-time";

/** The schema of a request's status. */
export const requestStatus = z.enum(REQUEST_STATUSES).meta({
  description:
    "`expired`: nobody decided in time. `superseded`: the device made another request, which asks for more.",
});

/** The schema of a device's fingerprint. */
export const fingerprintText = z.string().meta({
  description: "8 characters made of the device's key. The device and the operator compare them.",
  example: "QKTAXV6T",
});

/** What a device says of itself. Nobody has checked it. */
export const profileFields = {
  display_name: z.string().meta({ description: "What the device calls itself." }),
  platform: z.string().meta({ description: "Such as `linux`. The device says it." }),
  device_family: z.string().meta({ description: "Such as `server`. The device says it." }),
  client_id: z.string().meta({ description: "Which program asks. The device says it." }),
  client_mode: z.string().meta({ description: "How the program runs. The device says it." }),
};

const granted = z.object({
  role: z.string(),
  roles: z.array(z.string()),
  scopes: z.array(z.string()),
});

/** The schema of a pairing request. */
export const pairingRequest = z
  .object({
    pair_request_id: z.string(),
    application_id: z.string(),
    status: requestStatus,
    device_id: z.string().meta({ description: "The SHA-256 of its key, in hexadecimal." }),
    public_key: z.string().meta({ description: "An Ed25519 key, in base64url." }),
    fingerprint: fingerprintText,
    digest: z.string().meta({
      description:
        "A hash of key, roles and scopes. Send it when you approve, to approve exactly what you were shown.",
    }),
    ...profileFields,
    role: z.string().meta({ description: "The role that it asks with." }),
    roles: z.array(z.string()).meta({ description: "All roles that it asks for." }),
    scopes: z.array(z.string()).meta({ description: "What the device asks for." }),
    remote_ip: z.string().meta({ description: "From where it asked." }),
    silent: z.boolean().meta({ description: "Nobody was notified." }),
    is_repair: z
      .boolean()
      .meta({ description: "The device is paired already, and asks for more." }),
    requested_at: time,
    expires_at: time.meta({ description: "Until when somebody can decide." }),
    decided_by: z.int().nullable().meta({
      description:
        "The id of the API key that decided, or that made the setup code. Null: nobody has decided.",
    }),
    decided_by_email: z.string().nullable().meta({
      description: "The person who decided, if Cloudflare Access said who it was.",
    }),
    decided_at: time.nullable().meta({
      description:
        "When the request ended, for whatever reason. Null: it is pending, or has expired just now.",
    }),
    granted: granted.nullable().meta({ description: "What was given. Null: nothing." }),
    reason: z
      .string()
      .nullable()
      .meta({ description: "Why the operator rejected it, if they said." }),
  })
  .meta({ id: "PairingRequest" });

/** A pairing request, as operators see it. */
export function toRequestWire(request: PairingRequest): Shown<typeof pairingRequest> {
  const { outcome } = request;
  const { fingerprint, digest } = marksOf(request);
  return {
    pair_request_id: request.id,
    application_id: request.applicationId,
    status: request.status,
    device_id: request.deviceId,
    public_key: request.publicKey,
    fingerprint,
    digest,
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
