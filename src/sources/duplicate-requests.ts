/**
 * The ids of source sessions, by which a create finds an earlier one that was identical. Pure.
 *
 * The id of a session is derived from the request that makes it. A client that sends a request again,
 * through whichever isolate, so reaches the object that the first request made, and no row has to be
 * written for that. The key of the derivation comes from the deployment's secret: the id says nothing
 * about the request.
 *
 * Time is cut into windows, and a request has other ids in each. Two identical requests may fall on
 * different sides of a border. The later one therefore looks at the window before its own first. An
 * object that it finds empty there it closes. If the earlier request was slower and comes to that
 * object only then, it takes an id of the next window, where it meets the later one.
 */
import { createHmac } from "node:crypto";
import { deriveKey } from "../platform/derive";

/** A request within so long of an identical one, whose session is still pending, gets that session. */
export const DUPLICATE_MS = 10_000;
/** Long, because a request that falls into the first `DUPLICATE_MS` of a window costs one more call. */
const WINDOW_MS = 300_000;
/** How many ids identical requests share in one window. When all are taken, an id is drawn at random. */
export const MAX_IDENTICAL_REQUESTS = 16;

/** The form of a source session's id. */
export const SOURCE_SESSION_ID = /^ses_[A-Za-z0-9_-]{22}$/;

/** What makes one request to create a session identical to another. */
export interface CreateRequest {
  organisationId: number;
  keyId: number;
  /** The text of its body. */
  body: string;
}

/** The ids that a request may have; `n` counts from 0, in the order in which they are tried. */
export interface RequestSessionIds {
  /** In the window before; null where no duplicate can be there any more. */
  before: ((n: number) => string) | null;
  now: (n: number) => string;
  /** In the next window: for a request that a later duplicate has overtaken. */
  after: (n: number) => string;
}

/** The ids for a request at this moment (`now`: Unix milliseconds). */
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
  const idsIn = (one: number) => (n: number) => {
    const id = createHmac("sha256", key).update(digest).update(`/${one}/${n}`).digest();
    return `ses_${id.subarray(0, 16).toString("base64url")}`;
  };
  return {
    before: now % WINDOW_MS < DUPLICATE_MS ? idsIn(window - 1) : null,
    now: idsIn(window),
    after: idsIn(window + 1),
  };
}
