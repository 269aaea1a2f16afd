/** What a delivery looks like on the wire, but for its body: the address and headers of each format. */
import { createHmac } from "node:crypto";
import type { DeliveryFormat } from "./delivery-store";
import { signWebhook } from "./signature";

/** What a request is made of. */
export interface RequestParts {
  url: URL;
  eventId: string;
  /** Whole seconds since 1970, of this attempt. */
  timestampSeconds: number;
  body: string;
  secret: string;
}

/** Where a delivery is posted, and the headers that say what it is and that it is ours. */
export function toRequest(
  format: DeliveryFormat,
  parts: RequestParts,
): { url: string; headers: Record<string, string> } {
  switch (format) {
    case "relay-session":
      return { url: parts.url.href, headers: standardHeaders(parts) };
    case "ricloud":
      return { url: urlOfEvent(parts), headers: { "Ricloud-Signature": signRicloud(parts) } };
  }
}

/** Standard Webhooks. */
function standardHeaders({ eventId, timestampSeconds, body, secret }: RequestParts) {
  return {
    "webhook-id": eventId,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": signWebhook({ secrets: [secret], id: eventId, timestampSeconds, body }),
  };
}

/** A ricloud receiver has a path for each event; a query of the address stays behind it. */
function urlOfEvent({ url, eventId }: RequestParts): string {
  const joined = new URL(url);
  joined.pathname = `${joined.pathname.replace(/\/$/, "")}/${eventId}`;
  return joined.href;
}

/** The secret is the key as it is written, not what its base64 stands for: so ricloud-py reads it. */
function signRicloud({ timestampSeconds, body, secret }: RequestParts): string {
  const signature = createHmac("sha256", secret).update(`${timestampSeconds}.${body}`);
  return `t=${timestampSeconds},s=${signature.digest("base64")}`;
}
