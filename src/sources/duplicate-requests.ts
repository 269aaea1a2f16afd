/**
 * How identical creates meet: the id of a source session is derived from the request that makes it,
 * so that a client that sends a request again addresses the object that the first one made, from any
 * isolate, without a row written anywhere. The key of the derivation is the deployment's secret: the
 * id reveals nothing of the request.
 *
 * Requests are told apart in windows of time. Of two twins in different windows, the later one looks
 * at the window before first, and closes the object that it finds empty there: an earlier one that was
 * slower goes on to the later one's window, and meets it.
 */
import { createHmac } from "node:crypto";
import { deriveKey } from "../platform/derive";

/** A twin of a request that is at most so old, and still pending, gets the same session. */
export const DUPLICATE_MS = 10_000;
/** Long, because a request that falls into the first `DUPLICATE_MS` of a window costs one more call. */
const WINDOW_MS = 300_000;
/** Identical requests of one window that are told apart; of more, each gets a session of its own. */
export const MOST_IDENTICAL_REQUESTS = 16;

/** The form of a source session's id. */
export const SOURCE_SESSION_ID = /^ses_[A-Za-z0-9_-]{22}$/;

/** A request to make a session, as far as it is the same as another. */
export interface CreateRequest {
  organisationId: number;
  keyId: number;
  /** The text of its body. */
  body: string;
}

/** The ids that a request may have, in the order in which they are tried. */
export interface RequestSessionIds {
  /** In the window before, where a twin can be there; null: none can. */
  before: ((n: number) => string) | null;
  now: (n: number) => string;
  /** In the window behind, for one that a later twin has overtaken. */
  after: (n: number) => string;
}

/** The ids for a request at this moment, Unix milliseconds. */
export function sessionIdsForRequest(
  secret: string,
  request: CreateRequest,
  now: number,
): RequestSessionIds {
  const key = deriveKey(secret, "source-session-ids");
  const digest = createHmac("sha256", key)
    .update(`${request.organisationId}/${request.keyId}/${request.body}`)
    .digest();
  const window = Math.floor(now / WINDOW_MS);
  const idsOf = (of: number) => (n: number) => {
    const id = createHmac("sha256", key).update(digest).update(`/${of}/${n}`).digest();
    return `ses_${id.subarray(0, 16).toString("base64url")}`;
  };
  return {
    before: now % WINDOW_MS < DUPLICATE_MS ? idsOf(window - 1) : null,
    now: idsOf(window),
    after: idsOf(window + 1),
  };
}

/** An id that no other request gets. */
export function randomSessionId(): string {
  return `ses_${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url")}`;
}
