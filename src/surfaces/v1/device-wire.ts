/** Devices on `/v1`, as operators, gateways and webhooks see them, and the tokens that devices get. */
import * as z from "zod";
import { type Device, grantOf } from "../../devices/device";
import type { DeviceWithLastSeen } from "../../devices/device-store";
import type { DeviceTokenVerification } from "../../devices/verify-device";
import type { Shown } from "../../http/operation";
import { fingerprint } from "../../pairing/device-key";
import { time, toRfc3339 } from "../shared/wire-time";
import { fingerprintText, profileFields } from "./pairing-request-wire";

/** The schema of a device without its tokens. */
export const deviceFacts = z.object({
  device_id: z.string().meta({ description: "The SHA-256 of its key, in hexadecimal." }),
  application_id: z.string(),
  label: z.string().nullable().meta({ description: "The name that operators gave it." }),
  public_key: z.string().meta({ description: "An Ed25519 key, in base64url." }),
  fingerprint: fingerprintText,
  ...profileFields,
  role: z.string().meta({ description: "The role that it asked with." }),
  roles: z.array(z.string()).meta({ description: "The roles that are approved." }),
  scopes: z.array(z.string()).meta({ description: "The scopes that are approved." }),
  created_at: time,
});

const tokenOfRole = z.object({
  role: z.string(),
  status: z.enum(["active", "to-collect", "revoked"]).meta({
    description:
      "`to-collect`: approved or rotated, and not fetched by the device yet. `revoked`: only a new approval brings it back.",
  }),
  scopes: z.array(z.string()).meta({ description: "What the token carries, or may carry." }),
});

/** The schema of a device. */
export const device = z
  .object({
    ...deviceFacts.shape,
    tokens: z.array(tokenOfRole).meta({ description: "One for each role." }),
    last_seen_at: time.nullable().meta({
      description: "When a token of it was last verified, to the minute. Null: never.",
    }),
  })
  .meta({ id: "Device" });

/** The schema of a token that a device is given. It is shown this once. */
export const newDeviceToken = z
  .object({
    device_token: z.string().meta({
      description: "What the device shows to the gateway (`drbd_…`). It is shown this once.",
    }),
    role: z.string().meta({ description: "The role that the token is for." }),
    scopes: z.array(z.string()).meta({
      description:
        "What the token carries. A device that later asks for more needs a new decision.",
    }),
  })
  .meta({ id: "NewDeviceToken" });

/** The schema of what a device token is worth. */
export const deviceVerification = z
  .object({
    valid: z.boolean(),
    code: z.enum(["valid", "not-found", "revoked", "device-removed", "scope-missing"]).meta({
      description:
        "`not-found`: also a token of another organisation. `revoked`: also rotated or replaced. `scope-missing`: the token works, and does not carry the scope.",
    }),
    device_id: z.string().nullable().meta({ description: "Null: the token was not found." }),
    application_id: z.string().nullable().meta({ description: "Null: the token was not found." }),
    role: z
      .string()
      .nullable()
      .meta({ description: "The role that the token is for, if it is known." }),
    scopes: z.array(z.string()).meta({ description: "What the token carries." }),
  })
  .meta({ id: "DeviceVerification" });

/** A device, as operators see it. */
export function toDeviceWire(row: DeviceWithLastSeen): Shown<typeof device> {
  return {
    ...toDeviceFacts(row),
    tokens: row.roles.map((role) => {
      const { token, revoked, limit } = grantOf(row, role);
      const status = revoked ? "revoked" : token ? "active" : "to-collect";
      return { role, status, scopes: token?.scopes ?? limit };
    }),
    last_seen_at: toRfc3339(row.lastSeenAt),
  };
}

/** A device without its tokens, as events show it. */
export function toDeviceFacts(row: Omit<Device, "grants">): Shown<typeof deviceFacts> {
  return {
    device_id: row.id,
    application_id: row.applicationId,
    label: row.label,
    public_key: row.publicKey,
    fingerprint: fingerprint(row.id),
    display_name: row.displayName,
    platform: row.platform,
    device_family: row.family,
    client_id: row.clientId,
    client_mode: row.clientMode,
    role: row.role,
    roles: row.roles,
    scopes: row.scopes,
    created_at: toRfc3339(row.createdAt),
  };
}

/** Whether a device token is valid and what for, as a gateway reads it. */
export function toVerificationWire(
  verified: DeviceTokenVerification,
): Shown<typeof deviceVerification> {
  const of = "device" in verified ? verified.device : null;
  return {
    valid: verified.ok,
    code: verified.ok ? "valid" : verified.code,
    device_id: of?.id ?? null,
    application_id: of?.applicationId ?? null,
    role: "role" in verified ? verified.role : null,
    scopes: "scopes" in verified ? verified.scopes : [],
  };
}
