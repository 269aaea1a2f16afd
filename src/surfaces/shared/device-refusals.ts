/**
 * What `devices/` and `pairing/` refuse, as HTTP errors. `/v1` answers them; the RPC gives them its own
 * codes.
 */

import type { DeviceChangeRefusal } from "../../devices/manage-devices";
import { describeClockDifference } from "../../http/clock-difference";
import type { HttpRefusal } from "../../http/request-context";
import type { DecisionRefusal } from "../../pairing/approve-and-reject";
import type { ProofRefusal } from "../../pairing/device-proof";
import { MAX_NEW_REQUESTS, MAX_PENDING_REQUESTS } from "../../pairing/pairing-request";
import type { PairingRefusal } from "../../pairing/request-pairing";
import { toRfc3339 } from "./wire-time";

/** Every refusal about devices and pairing. */
export type DeviceRefusal = PairingRefusal | DecisionRefusal | DeviceChangeRefusal | ProofRefusal;

/** A refusal as an HTTP error: its status, what is wrong, and what to do. */
export function toDeviceRefusal(refusal: DeviceRefusal): HttpRefusal {
  switch (refusal.code) {
    case "request-ended":
      return {
        status: 409,
        lasts: true,
        code: `request-${refusal.status}`,
        message: `The pairing request is ${refusal.status}: nothing was changed. The device can ask again.`,
      };
    case "exceeds-request":
      return say(
        400,
        refusal.code,
        `The device did not ask for ${refusal.what}: an approval may only narrow.`,
      );
    case "exceeds-approved":
      return say(
        400,
        refusal.code,
        `${refusal.scope} is not approved for this role of the device. It has to ask for it.`,
      );
    case "scope-not-held":
      return say(
        403,
        refusal.code,
        `You do not hold the scope ${refusal.scope}, so you cannot let a device have it.`,
      );
    case "role-not-approved":
      return say(404, refusal.code, `The device is not approved for the role ${refusal.role}.`);
    case "token-revoked":
      return {
        status: 409,
        lasts: false,
        code: refusal.code,
        message: `The token of the role ${refusal.role} is revoked: only a new approval brings it back.`,
      };
    case "invalid-key":
      return say(
        400,
        refusal.code,
        `device.public_key is refused: ${KEY_PROBLEMS[refusal.problem]}.`,
      );
    case "too-many-pending":
      return tooManyPending(refusal.of);
    case "too-many-new":
      return tooManyNew(refusal.retryAfterSeconds);
    case "stale-signature":
      return staleSignature(refusal.signedAt, refusal.now);
    default:
      return REFUSALS[refusal.code];
  }
}

/** Refusals whose error is always the same. */
const REFUSALS = {
  "application-not-found": say(
    404,
    "application-not-found",
    "There is no such application. POST /v1/applications makes one.",
  ),
  "request-not-found": say(
    404,
    "request-not-found",
    "There is no such pairing request in this application.",
  ),
  "device-not-found": say(
    404,
    "device-not-found",
    "There is no such paired device in this application.",
  ),
  "digest-mismatch": {
    status: 409,
    lasts: true,
    code: "digest-mismatch",
    message:
      "The request does not ask for what this digest stands for. List it again and decide anew.",
  },
  "nonce-used": {
    status: 409,
    lasts: true,
    code: "nonce-used",
    message: "This nonce was used before. Ask for a new challenge.",
  },
  "wrong-device-token": {
    status: 401,
    code: "wrong-device-token",
    message: "This is not a working token of this device. Pair it again.",
    headers: { "WWW-Authenticate": "Bearer" },
  },
  "invalid-setup-code": say(
    403,
    "invalid-setup-code",
    "There is no such setup code, or it was used, or its time is over, or its maker may not let devices in any more.",
  ),
  "exceeds-setup-code": say(
    403,
    "exceeds-setup-code",
    "The setup code does not cover this role and these scopes.",
  ),
  "wrong-device-id": say(
    400,
    "wrong-device-id",
    "device.id is not the lower-case hex SHA-256 of the 32 bytes of device.public_key.",
  ),
  "unknown-nonce": say(
    401,
    "unknown-nonce",
    "device.nonce is not a challenge of this application. Ask for one at …/pairing/challenges.",
  ),
  "nonce-expired": say(
    401,
    "nonce-expired",
    "device.nonce is older than 120 seconds. Ask for a new challenge.",
  ),
  "wrong-signature": say(
    401,
    "wrong-signature",
    "device.signature is not this key's signature of the v3 string of what was sent.",
  ),
} satisfies Record<string, HttpRefusal>;

const KEY_PROBLEMS = {
  spelling: "it is not the base64url of 32 bytes, without padding, in its one spelling",
  "non-canonical": "it is not the canonical encoding of a point",
  "small-order": "it is a point of small order, for which signatures can be forged",
};

function tooManyPending(of: "address" | "application"): HttpRefusal {
  const most =
    of === "address" ? MAX_PENDING_REQUESTS.perAddress : MAX_PENDING_REQUESTS.perApplication;
  const subject = of === "address" ? "your address" : "this application";
  return {
    ...say(
      429,
      "too-many-requests-pending",
      `There are ${most} pending requests of ${subject}. Wait.`,
    ),
    headers: { "Retry-After": "60" },
  };
}

function tooManyNew(retryAfterSeconds: number): HttpRefusal {
  return {
    ...say(
      429,
      "too-many-new-requests",
      `This device has asked for something new ${MAX_NEW_REQUESTS.perDevice} times within an hour. Ask for the same again, or wait as long as Retry-After says.`,
    ),
    headers: { "Retry-After": String(retryAfterSeconds) },
  };
}

function staleSignature(signedAt: number, now: number): HttpRefusal {
  return {
    ...say(
      401,
      "stale-signature",
      `device.signed_at is ${describeClockDifference(signedAt, now)}: at most 120 are allowed. Set the clock.`,
    ),
    more: { server_time: toRfc3339(now), clock_difference_ms: signedAt - now },
  };
}

function say(
  status: Exclude<HttpRefusal["status"], 409>,
  code: string,
  message: string,
): HttpRefusal {
  return { status, code, message };
}
