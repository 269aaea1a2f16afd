/**
 * Callers that have no API key: whoever runs the deployment, with the root token, and services that sign
 * what they send. Called by `mount.ts`, and by the operation with which a connector ends a session.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { verifyWebhook } from "../outbound/standard-webhooks";
import type { Config } from "../platform/config";
import { readCredential } from "./authenticate";
import { describeClockDifference } from "./clock-difference";
import { refuseAndCount } from "./failed-attempts";
import type { Call } from "./request-context";

const SIGNATURE_TOLERANCE_SECONDS = 300;

/**
 * Refuses every credential but the root token.
 * @throws Refused 401, or 429 after too many failures
 */
export function requireRoot(c: Call): void {
  const now = Date.now();
  if (isRootToken(c, readCredential(c, now, "root token"))) return;
  refuseAndCount(c, now, {
    status: 401,
    code: "not-the-root-token",
    message: "This call takes the root token (DRAWBRIDGE_ROOT_TOKEN).",
  });
}

/** The digest of the root token, computed once for an isolate: calls with API keys are compared with it too. */
const rootDigests = new WeakMap<Config, Buffer>();

/** Whether a credential is the root token. */
export function isRootToken(c: Call, credential: string): boolean {
  const config = c.get("config");
  const wanted = rootDigests.get(config) ?? sha256(config.rootToken);
  rootDigests.set(config, wanted);
  return timingSafeEqual(sha256(credential), wanted);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * The service that signed this request, as a Standard Webhook, at most five minutes ago.
 * @param findSigner finds which service has to have signed, and its secrets; called only if the headers
 *   have the right form
 * @throws Refused 401, or 429 after too many failures
 */
export async function requireSigner<T>(
  c: Call,
  body: string,
  findSigner: () => Promise<{ signer: T; secrets: readonly string[] } | null>,
): Promise<T> {
  const now = Date.now();
  const id = c.req.header("webhook-id") ?? "";
  const timestamp = c.req.header("webhook-timestamp") ?? "";
  const signatureHeader = c.req.header("webhook-signature") ?? "";
  const isFormed = id !== "" && /^[0-9]{1,15}$/.test(timestamp) && signatureHeader !== "";
  const found = isFormed ? await findSigner() : null;
  const signedAt = Number(timestamp);
  const isSignedAsOf = (nowSeconds: number, secrets: readonly string[]) =>
    verifyWebhook({
      secrets,
      id,
      timestampSeconds: signedAt,
      body,
      signatureHeader,
      nowSeconds,
      toleranceSeconds: SIGNATURE_TOLERANCE_SECONDS,
    });
  if (found && isSignedAsOf(Math.floor(now / 1_000), found.secrets)) return found.signer;
  const isStale = found !== null && isSignedAsOf(signedAt, found.secrets);
  return refuseAndCount(c, now, {
    status: 401,
    code: "wrong-signature",
    message: isStale
      ? `The signature is right, but webhook-timestamp is ${describeClockDifference(signedAt * 1_000, now)}: at most ${SIGNATURE_TOLERANCE_SECONDS} are allowed. Set the clock, and sign again.`
      : "This call takes the root token, or the signature of the session's connector: a Standard Webhook (webhook-id, webhook-timestamp, webhook-signature) signed with its secret within the last five minutes.",
  });
}
