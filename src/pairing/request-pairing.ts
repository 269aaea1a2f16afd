/**
 * Handles a signed pairing request of a device, after its proof was checked. Retries of the device, other
 * devices and operators may act at the same time, and D1 decides which of them comes first: the nonce of
 * the request is stored only if everything is still as it was read, and the other statements of the batch
 * do their work only if the nonce was stored.
 */
import { runBatch } from "../db/batch";
import { retryChange } from "../db/retry";
import type { Application } from "../devices/application-store";
import { closeDeviceSocketsNow } from "../devices/close-sockets";
import type { DeviceServices } from "../devices/device-services";
import { isNonceClaimed, isNonceUsed, type NonceUse, nonceInsertion } from "../once/nonces";
import {
  type PairingAnswer,
  type PairingPlan,
  type ProvenRequest,
  planRequest,
  planWithSetupCode,
  type SetupCodeRefusal,
} from "./pairing-plan";
import { findExceededLimit, type LimitRefusal } from "./request-limits";

/** Why a device got neither a token nor a pending request. Nothing was changed. */
export type PairingRefusal = { code: "nonce-used" } | LimitRefusal | SetupCodeRefusal;

/** The answer to the device. */
export type PairingResult = PairingAnswer | { type: "refused"; refusal: PairingRefusal };

/**
 * Handles a pairing request whose proof was checked.
 * @param services.requireSpace throws if D1 is too full for another request
 */
export async function requestPairing(
  services: DeviceServices & { requireSpace(): Promise<void> },
  application: Application,
  request: ProvenRequest,
  now: number,
): Promise<PairingResult> {
  const { db } = services;
  const { nonce, setupCode } = request;
  const use: NonceUse = { owner: application.id, nonce, claim: crypto.randomUUID() };
  return retryChange<PairingResult>("the device", async () => {
    const plan =
      setupCode === null
        ? await planRequest(services, application, request, now)
        : await planWithSetupCode(services, application, { ...request, setupCode }, now);
    if ("code" in plan) return { type: "refused", refusal: plan };
    if (plan.addsRequest) await services.requireSpace();
    if (await writePlan(services, use, plan, now)) return plan.answer;
    if (await isNonceUsed(db, use, now)) {
      return { type: "refused", refusal: { code: "nonce-used" } };
    }
    const { answer } = plan;
    const exceeded =
      answer.type === "pending" ? await findExceededLimit(db, answer.request, now) : null;
    return exceeded ? { type: "refused", refusal: exceeded } : undefined;
  });
}

/** Uses the nonce and writes a plan. False: the plan's condition did not hold, and nothing was written. */
async function writePlan(
  services: DeviceServices,
  use: NonceUse,
  plan: PairingPlan,
  now: number,
): Promise<boolean> {
  const { db, events } = services;
  const { stored } = await runBatch(db, {
    stored: nonceInsertion(db, use, now, plan.onlyIf),
    rest: plan.statements(isNonceClaimed(use, now)),
  });
  if (stored.length === 0) return false;
  if (plan.events.length > 0) events.sendAfterAnswer(plan.events);
  if (plan.lostAccess) await closeDeviceSocketsNow(services, plan.lostAccess);
  return true;
}
