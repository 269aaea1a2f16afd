/** What a delivery looks like on the wire, but for its body: the address and headers of each format. */
import { createHmac } from "node:crypto";
import { signWebhook } from "../outbound/standard-webhooks";
import type { DeliveryFormat } from "./delivery-store";

/** What a request is made of. */
export interface RequestParts {
  url: URL;
  eventId: string;
  /** Whole seconds since 1970, of this attempt. */
  timestampSeconds: number;
  body: string;
  /** Those that sign now, the newest first. */
  secrets: readonly [string, ...string[]];
}

/** Where a delivery is posted, the headers that say what it is and that it is ours, and the body. */
export function signDeliveryRequest(
  format: DeliveryFormat,
  parts: RequestParts,
): { url: string; headers: Record<string, string>; body: string } {
  const { body } = parts;
  switch (format) {
    case "relay-session":
    case "standard":
      return { url: parts.url.href, headers: standardHeaders(parts), body };
    case "ricloud":
      return { url: urlOfEvent(parts), headers: { "Ricloud-Signature": signRicloud(parts) }, body };
  }
}

/** Standard Webhooks. */
function standardHeaders({ eventId, timestampSeconds, body, secrets }: RequestParts) {
  return {
    "webhook-id": eventId,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": signWebhook({ secrets, id: eventId, timestampSeconds, body }),
  };
}

/** A ricloud receiver has a path for each event; a query of the address stays behind it. */
function urlOfEvent({ url, eventId }: RequestParts): string {
  const joined = new URL(url);
  joined.pathname = `${joined.pathname.replace(/\/$/, "")}/${eventId}`;
  return joined.href;
}

/**
 * The secret is the key as it is written, not what its base64 stands for: so ricloud-py reads it. The
 * format has room for one signature: after a rotation the new secret signs at once.
 */
function signRicloud({ timestampSeconds, body, secrets: [secret] }: RequestParts): string {
  const signature = createHmac("sha256", secret).update(`${timestampSeconds}.${body}`);
  return `t=${timestampSeconds},s=${signature.digest("base64")}`;
}
