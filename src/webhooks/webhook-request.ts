/**
 * The request of a delivery, but for its body: the address and the signature of each format. Each
 * attempt calls it. Pure.
 */
import { createHmac } from "node:crypto";
import type { DeliveryFormat } from "../events/delivery-record";
import {
  type SignedRequest,
  signStandardWebhook,
  type UnsignedRequest,
} from "../outbound/standard-webhooks";

/** Signs a delivery as its format asks. Only ricloud's is not a Standard Webhook. */
export function signDeliveryRequest(
  format: DeliveryFormat,
  unsigned: UnsignedRequest,
): SignedRequest {
  if (format !== "ricloud") return signStandardWebhook(unsigned);
  const headers = { "Ricloud-Signature": ricloudSignature(unsigned) };
  return { url: ricloudUrl(unsigned), headers, body: unsigned.body };
}

/** A ricloud receiver has one path for each event. A query of the address stays behind that path. */
function ricloudUrl({ url, id }: UnsignedRequest): string {
  const joined = new URL(url);
  joined.pathname = `${joined.pathname.replace(/\/$/, "")}/${id}`;
  return joined.href;
}

/**
 * The key is the secret as it is written, not the bytes that its base64 stands for: ricloud-py does the
 * same. The format has room for one signature, so after a rotation only the new secret signs.
 */
function ricloudSignature({ timestampSeconds, body, secrets: [secret] }: UnsignedRequest): string {
  const signature = createHmac("sha256", secret).update(`${timestampSeconds}.${body}`);
  return `t=${timestampSeconds},s=${signature.digest("base64")}`;
}
