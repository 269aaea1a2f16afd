/**
 * The signatures of Standard Webhooks, by which a receiver knows that a request is ours, and the secrets
 * that make them. The secrets are derived and never stored. Pure.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { deriveKey } from "../platform/derive";

const SECRET_PREFIX = "whsec_";
const SECRET_BYTES = 32;
const VERSION_PREFIX = "v1,";

/** What a signature covers. */
export interface SignedContent {
  /** The `webhook-id` header: the event's id. Must not be empty or contain a full stop. */
  id: string;
  /** The `webhook-timestamp` header: whole seconds since 1970, of this attempt. */
  timestampSeconds: number;
  /** The body exactly as it goes over the wire. */
  body: string;
}

/**
 * The signing secret of `owner` (such as `organisation/12`): `whsec_` and base64 of 32 bytes.
 * Rotating it is raising `version`, a whole number from 0.
 *
 * @throws RangeError when `rootSecret` or `owner` is empty, or `version` is not such a number.
 */
export function deriveSecret(rootSecret: string, owner: string, version: number): string {
  if (rootSecret === "") throw new RangeError("rootSecret must not be empty");
  if (owner === "") throw new RangeError("owner must not be empty");
  if (!Number.isSafeInteger(version) || version < 0) {
    throw new RangeError(`version must be a whole number from 0, not ${version}`);
  }
  // The version stands before the owner because it cannot contain a slash: whatever the owner is,
  // no two pairs give the same info.
  const bytes = deriveKey(rootSecret, "webhook-secret", [version, owner], SECRET_BYTES);
  return SECRET_PREFIX + bytes.toString("base64");
}

/**
 * The `webhook-signature` header: one `v1,<base64>` for each secret, in their order, separated by
 * spaces. While a rotated secret is in its grace, both sign.
 *
 * @throws RangeError when there is no secret, a secret is not `whsec_` and base64, the id is empty or
 * contains a full stop, or the timestamp is not whole seconds since 1970.
 */
export function signWebhook(input: SignedContent & { secrets: readonly string[] }): string {
  const { secrets, ...content } = input;
  if (secrets.length === 0) throw new RangeError("signing needs at least one secret");
  if (!isUnambiguous(content)) {
    throw new RangeError("id must have no full stop, timestampSeconds must be whole seconds");
  }
  return secrets.map((secret) => VERSION_PREFIX + computeSignature(secret, content)).join(" ");
}

/** A request that is to be signed. */
export interface UnsignedRequest {
  url: URL;
  /** The id of the message: for a delivery, the id of its event. */
  id: string;
  /** When the request is made: whole seconds since 1970. */
  timestampSeconds: number;
  body: string;
  /** The secrets that sign now, the newest first. */
  secrets: readonly [string, ...string[]];
}

/** What is posted, and where to. */
export interface SignedRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** Signs as a Standard Webhook: three headers, and the address as it is. */
export function signStandardWebhook({
  url,
  id,
  timestampSeconds,
  body,
  secrets,
}: UnsignedRequest): SignedRequest {
  return {
    url: url.href,
    headers: {
      "webhook-id": id,
      "webhook-timestamp": String(timestampSeconds),
      "webhook-signature": signWebhook({ secrets, id, timestampSeconds, body }),
    },
    body,
  };
}

/**
 * Whether `signatureHeader` contains a signature of this content by one of `secrets`, made no more
 * than `toleranceSeconds` before or after `nowSeconds`. Nothing that came over the wire makes it
 * throw. The time that it takes says nothing about the right signature.
 *
 * @throws RangeError when a secret is not `whsec_` and base64.
 */
export function verifyWebhook(
  input: SignedContent & {
    secrets: readonly string[];
    signatureHeader: string;
    nowSeconds: number;
    toleranceSeconds: number;
  },
): boolean {
  const { secrets, signatureHeader, nowSeconds, toleranceSeconds, ...content } = input;
  if (!isUnambiguous(content)) return false;
  if (Math.abs(nowSeconds - content.timestampSeconds) > toleranceSeconds) return false;
  // Compared as text and not as decoded bytes: base64 decoders accept several spellings of the same.
  const presented = signatureHeader
    .split(" ")
    .filter((part) => part.startsWith(VERSION_PREFIX))
    .map((part) => Buffer.from(part.slice(VERSION_PREFIX.length)));
  return secrets.some((secret) => {
    const expected = Buffer.from(computeSignature(secret, content));
    return presented.some(
      (signature) => signature.length === expected.length && timingSafeEqual(signature, expected),
    );
  });
}

/** The signed text joins its parts with full stops, so none may be in the id or the timestamp. */
function isUnambiguous({ id, timestampSeconds }: SignedContent): boolean {
  return (
    id !== "" &&
    !id.includes(".") &&
    Number.isSafeInteger(timestampSeconds) &&
    timestampSeconds >= 0
  );
}

function computeSignature(secret: string, { id, timestampSeconds, body }: SignedContent): string {
  return createHmac("sha256", decodeSecret(secret))
    .update(`${id}.${timestampSeconds}.${body}`)
    .digest("base64");
}

function decodeSecret(secret: string): Buffer {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : "";
  const bytes = Buffer.from(encoded, "base64");
  // Buffer skips what is not base64, which would sign with another key than the receiver's. The
  // message leaves the secret out: it may end in a log.
  if (encoded === "" || bytes.toString("base64") !== encoded) {
    throw new RangeError(`a signing secret must be ${SECRET_PREFIX} followed by base64`);
  }
  return bytes;
}
