/** The one table from what the domain refuses to what both surfaces of devices can say. */

import type { ManageRefusal } from "../../devices/manage-devices";
import type { HttpRefusal } from "../../http/request-context";
import type { DecideRefusal } from "../../pairing/approve-and-reject";
import type { ProofRefusal } from "../../pairing/device-proof";
import { MOST_LIVE, MOST_NEW } from "../../pairing/pairing-request";
import type { AskRefusal } from "../../pairing/request-pairing";
import { describeClockDifference, toRfc3339 } from "./wire-time";

/** Everything that can be refused of devices. */
export type DeviceRefusal = AskRefusal | DecideRefusal | ManageRefusal | ProofRefusal;

/** A refusal with its status and what to do. */
export function toDeviceRefusal(refusal: DeviceRefusal): HttpRefusal {
  switch (refusal.code) {
    case "application-not-found":
      return say(
        404,
        refusal.code,
        "There is no such application. POST /v1/applications makes one.",
      );
    case "request-not-found":
      return say(404, refusal.code, "There is no such pairing request in this application.");
    case "device-not-found":
      return say(404, refusal.code, "There is no such paired device in this application.");
    case "request-ended":
      return lastingConflict(
        `request-${refusal.status}`,
        `The pairing request is ${refusal.status}: nothing was changed. The device can ask again.`,
      );
    case "digest-mismatch":
      return lastingConflict(
        refusal.code,
        "The request does not ask for what this digest stands for. List it again and decide anew.",
      );
    case "exceeds-request":
      return say(
        400,
        refusal.code,
        `The device did not ask for ${refusal.what}: an approval may only narrow.`,
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
      return momentaryConflict(
        refusal.code,
        `The token of the role ${refusal.role} is revoked: only a new approval brings it back.`,
      );
    case "wrong-device-token":
      return {
        ...say(401, refusal.code, "This is not a working token of this device. Pair it again."),
        headers: { "WWW-Authenticate": "Bearer" },
      };
    case "exceeds-approved":
      return say(
        400,
        refusal.code,
        `${refusal.scope} is not approved for this role of the device. It has to ask for it.`,
      );
    case "nonce-used":
      return lastingConflict(refusal.code, "This nonce was used before. Ask for a new challenge.");
    case "too-many-live": {
      const most = refusal.of === "address" ? MOST_LIVE.perAddress : MOST_LIVE.perApplication;
      const of = refusal.of === "address" ? "your address" : "this application";
      return {
        ...say(429, "too-many-requests-pending", `There are ${most} live requests of ${of}. Wait.`),
        headers: { "Retry-After": "60" },
      };
    }
    case "too-many-new":
      return {
        ...say(
          429,
          "too-many-new-requests",
          `This device has asked for something new ${MOST_NEW.perDevice} times within an hour. Ask for the same again, or wait as long as Retry-After says.`,
        ),
        headers: { "Retry-After": String(refusal.retryAfterSeconds) },
      };
    case "invalid-setup-code":
      return say(
        403,
        refusal.code,
        "There is no such setup code, or it was used, or its time is over, or its maker may not let devices in any more.",
      );
    case "exceeds-setup-code":
      return say(403, refusal.code, "The setup code does not cover this role and these scopes.");
    case "invalid-key":
      return say(
        400,
        refusal.code,
        `device.public_key is refused: ${keyProblems[refusal.problem]}.`,
      );
    case "wrong-device-id":
      return say(
        400,
        refusal.code,
        "device.id is not the lower-case hex SHA-256 of the 32 bytes of device.public_key.",
      );
    case "unknown-nonce":
      return say(
        401,
        refusal.code,
        "device.nonce is not a challenge of this application. Ask for one at …/pairing/challenges.",
      );
    case "nonce-expired":
      return say(
        401,
        refusal.code,
        "device.nonce is older than 120 seconds. Ask for a new challenge.",
      );
    case "stale-signature": {
      const { signedAt, now } = refusal;
      return {
        ...say(
          401,
          refusal.code,
          `device.signed_at is ${describeClockDifference(signedAt, now)}: at most 120 are allowed. Set the clock.`,
        ),
        more: { server_time: toRfc3339(now), clock_difference_ms: signedAt - now },
      };
    }
    case "wrong-signature":
      return say(
        401,
        refusal.code,
        "device.signature is not this key's signature of the v3 string of what was sent.",
      );
  }
}

const keyProblems = {
  spelling: "it is not the base64url of 32 bytes, without padding, in its one spelling",
  "non-canonical": "it is not the canonical encoding of a point",
  "small-order": "it is a point of small order, for which signatures can be forged",
};

function say(
  status: Exclude<HttpRefusal["status"], 409>,
  code: string,
  message: string,
): HttpRefusal {
  return { status, code, message };
}

function lastingConflict(code: string, message: string): HttpRefusal {
  return { status: 409, lasts: true, code, message };
}

function momentaryConflict(code: string, message: string): HttpRefusal {
  return { status: 409, lasts: false, code, message };
}
