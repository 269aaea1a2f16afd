/**
 * A device polls its pairing request. The first poll after the approval gets the token, and no later poll
 * gets it again.
 */
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { retryChange } from "../db/retry";
import { grantOf, issueToken } from "../devices/device";
import {
  deviceWrite,
  isDeviceUnchanged,
  selectDevice,
  toDevice,
  tokenWrites,
} from "../devices/device-store";
import { newDeviceToken } from "../devices/device-token";
import { type PairingRequest, type RequestStatus, statusAt } from "./pairing-request";
import { selectRequest, toPairingRequest } from "./request-store";

/** The answer to a poll. Only one poll gets `token`; for all others it is null. */
export interface PollResult {
  status: RequestStatus;
  token: { token: string; role: string; scopes: readonly string[] } | null;
}

/** The status of a request, and its token if this poll is the one that gets it. Null: there is no such request. */
export async function pollRequest(
  db: Database,
  applicationId: string,
  requestId: string,
  now: number,
): Promise<PollResult | null> {
  const rows = await selectRequest(db, applicationId, requestId);
  if (!rows[0]) return null;
  const request = toPairingRequest(rows[0]);
  const status = statusAt(request, now);
  const token = status === "approved" ? await collectToken(db, request) : null;
  return { status, token };
}

/** The token of an approved request. Null: it was collected before, or the approval no longer stands. */
async function collectToken(db: Database, request: PairingRequest): Promise<PollResult["token"]> {
  const { applicationId, deviceId } = request;
  const granted = request.outcome?.granted;
  if (!granted) return null;
  return retryChange(`the device of the pairing request ${request.id}`, async () => {
    const rows = await selectDevice(db, applicationId, deviceId);
    const before = rows[0] ? toDevice(rows[0]) : null;
    if (!before || before.removedAt !== null) return null;
    const { role } = granted;
    if (grantOf(before, role).awaiting !== request.id) return null;
    const { token, digest } = newDeviceToken();
    const { device, scopes } = issueToken(before, role, granted.scopes, digest);
    const unchanged = isDeviceUnchanged(applicationId, deviceId, before);
    // The device is written last, because that makes the condition of the other statements untrue.
    const { written } = await runBatch(db, {
      tokens: tokenWrites(db, { before, device, token: { digest, role } }, unchanged),
      written: deviceWrite(db, before, device, unchanged),
    });
    return written.length > 0 ? { token, role, scopes } : undefined;
  });
}
