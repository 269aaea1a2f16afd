/** The codes that the operations of applications, pairing and devices declare. */
import { expect, test } from "vitest";
import type { OperationGroup } from "../../../src/http/operation";
import { LIMITS } from "../../../src/http/rate-limits";
import { ENDED_STATUSES } from "../../../src/pairing/pairing-request";
import { type DeviceRefusal, toDeviceRefusal } from "../../../src/surfaces/shared/device-refusals";
import { applications } from "../../../src/surfaces/v1/applications";
import { devices } from "../../../src/surfaces/v1/devices";
import { pairingByDevices } from "../../../src/surfaces/v1/pairing-by-devices";
import { pairingRequests } from "../../../src/surfaces/v1/pairing-requests";

/** One refusal of each code. The compiler refuses a code too few. */
const REFUSALS: { [C in DeviceRefusal["code"]]: Extract<DeviceRefusal, { code: C }> } = {
  "application-not-found": { code: "application-not-found" },
  "device-not-found": { code: "device-not-found" },
  "digest-mismatch": { code: "digest-mismatch" },
  "exceeds-approved": { code: "exceeds-approved", scope: "operator.read" },
  "exceeds-request": { code: "exceeds-request", what: "operator.read" },
  "exceeds-setup-code": { code: "exceeds-setup-code" },
  "invalid-key": { code: "invalid-key", problem: "spelling" },
  "invalid-setup-code": { code: "invalid-setup-code" },
  "nonce-expired": { code: "nonce-expired" },
  "nonce-used": { code: "nonce-used" },
  "request-ended": { code: "request-ended", status: "approved" },
  "request-not-found": { code: "request-not-found" },
  "role-not-approved": { code: "role-not-approved", role: "operator" },
  "scope-not-held": { code: "scope-not-held", scope: "operator.read" },
  "stale-signature": { code: "stale-signature", signedAt: 0, now: 0 },
  "token-revoked": { code: "token-revoked", role: "operator" },
  "too-many-new": { code: "too-many-new", retryAfterSeconds: 1 },
  "too-many-pending": { code: "too-many-pending", of: "address" },
  "unknown-nonce": { code: "unknown-nonce" },
  "wrong-device-id": { code: "wrong-device-id" },
  "wrong-device-token": { code: "wrong-device-token" },
  "wrong-signature": { code: "wrong-signature" },
};

/** What these operations refuse besides: for too many calls, and in their handlers. */
const OTHERS = [
  `429 ${LIMITS.pairingCalls.code}`,
  `429 ${LIMITS.polls.code}`,
  `429 ${LIMITS.failedAuthentications.code}`,
  "401 unauthenticated",
  "401 wrong-poll-token",
  "403 wrong-role",
  // The poll collects the token: it is a GET that makes a change.
  "503 changed-meanwhile",
];

function declaredBy({ operations }: OperationGroup): string[] {
  return operations.flatMap(({ refusals = {} }) =>
    Object.entries(refusals).flatMap(([status, codes]) => codes.map((code) => `${status} ${code}`)),
  );
}

test("the operations about devices declare what can be refused with its status, and nothing else", () => {
  const ended = ENDED_STATUSES.map((status) => ({ code: "request-ended" as const, status }));
  const refused = [...Object.values(REFUSALS), ...ended]
    .map(toDeviceRefusal)
    .map(({ status, code }) => `${status} ${code}`);
  const declared = [applications, pairingByDevices, pairingRequests, devices].flatMap(declaredBy);
  expect(new Set(declared)).toEqual(new Set([...refused, ...OTHERS]));
});
